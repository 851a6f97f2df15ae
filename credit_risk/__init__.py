"""Credit decisions: from an application to APPROVED, MAYBE or DECLINED, and why."""

__version__ = "0.1.0"
