"""What became of loans, from a file or as it is on record beside the decisions."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from credit_risk.contract.errors import DataError
from credit_risk.contract.event import OutcomeLine
from credit_risk.record.reader import OUTCOME, parsed
from credit_risk.record.retention import EVENTS


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


def recorded_outcomes(folders: Iterable[Path]) -> dict[str, int]:
    """Read the outcomes on record in the folders of logs, each the last of its decision. Raises DataError."""
    found: dict[str, int] = {}
    for path in (path for folder in folders for path in sorted(folder.glob(EVENTS))):
        try:
            with path.open("rb") as stream:
                for number, content in enumerate(stream, 1):
                    if content.startswith(OUTCOME) and (line := parsed(content, f"{path}:{number}", OutcomeLine)):
                        found[line.decision_id] = int(line.outcome == "defaulted")
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror}") from None
    return found
