"""Decisions on record, as tests look at them: without what seals the log."""

from __future__ import annotations

from pathlib import Path

from credit_risk.record.reader import OTHERS


def decision_lines(folder: Path, files: str = "decisions-*.ndjson") -> list[bytes]:
    """Read the lines of a log that are no lines of its seal, in the order of the files."""
    return [
        line for path in sorted(folder.glob(files)) for line in path.read_bytes().splitlines() if is_of_a_decision(line)
    ]


def is_of_a_decision(line: bytes) -> bool:
    return not line.startswith(OTHERS)
