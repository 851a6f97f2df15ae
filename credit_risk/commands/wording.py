"""Words that several commands share."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Say how many there are of something."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
