"""What became of loans, from a file."""

from __future__ import annotations

import csv
from pathlib import Path

from credit_risk.contract.errors import DataError


def load_outcomes(path: Path) -> dict[str, int]:
    """Read outcomes by decision id from a CSV file: 1 for default, 0 for paid back. Raises DataError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [(row.get("decision_id"), row.get("default")) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"outcomes {path} can't be read: {error}") from None
    found = {str(decision_id): int(default) for decision_id, default in rows if decision_id and default in ("0", "1")}
    if not rows or len(found) != len(rows):
        raise DataError(f"outcomes {path} must have the columns decision_id, each once, and default, 0 or 1")
    return found
