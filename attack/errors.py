"""What stops the suite before it attacks."""

from __future__ import annotations


class AttackError(Exception):
    """The suite can't begin; the message names the fix."""
