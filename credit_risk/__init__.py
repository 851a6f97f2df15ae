"""Credit decisions: an application in; APPROVED, MAYBE or DECLINED out, with the reasons."""

__version__ = "0.2.0"
