"""Lines of the decision log, found by the ids of their decisions."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from credit_risk.record.encryption import ENCRYPTED
from credit_risk.record.keys import Keys
from credit_risk.record.retention import FILES

_START = b'{"schema":2,"decision_id":"'
_ID = slice(len(_START), len(_START) + 36)
CLOCKS_APART = 60.0  # seconds that the clock of whoever writes the files may be behind


def find_lines(folder: Path, ids: Collection[str]) -> dict[str, bytes]:
    """Find the lines of decisions in a folder of files. Ids that are not on record are left out.

    Lines are decrypted, unless their keys were erased or are lost. Only files are read that were written to since the
    ids were made. Raises OSError if one can't be read, and DataError if others may read keys.
    """
    wanted = {decision_id.encode(): decision_id for decision_id in ids}
    made = min((int.from_bytes(UUID(decision_id).bytes[:6]) / 1000 for decision_id in ids), default=0.0)
    found: dict[str, bytes] = {}
    keys = Keys()
    for path in folder.glob(FILES):
        if len(found) == len(wanted):
            break
        if path.stat().st_mtime < made - CLOCKS_APART:
            continue
        with path.open("rb") as lines:
            for line in lines:
                if line.startswith(_START) and line[_ID] in wanted and line.endswith(b"\n"):  # else a crash tore it
                    opened = keys.opened(str(path), line) if ENCRYPTED in line else line
                    found[wanted[line[_ID]]] = opened or line
    return found
