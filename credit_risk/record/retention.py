"""How long files of the log are kept."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from credit_risk.record.chain import tip_of
from credit_risk.record.keys import remove_keys
from credit_risk.record.seal import FOLDER, REMOVED, Seal, append_line

logger = logging.getLogger("bentoml.credit_risk")
FILES = "decisions-*.ndjson"
EVENTS = "events-*.ndjson"  # reviews and outcomes
KEPT_BY_LAW = 762  # days; the longest that 25 months are, as Regulation B asks for (12 CFR 1002.12(b))


def remove_old(folder: Path, oldest: datetime, seal: Seal | None) -> None:
    """Remove the files that were last written to before then. With a seal, a signed note of each excuses it.

    Another process may have removed one first. Whatever goes wrong here, decisions go on.
    """
    for path in (*folder.glob(FILES), *folder.glob(EVENTS)):
        try:
            if path.stat().st_mtime < oldest.timestamp():
                if seal is not None and (tip := tip_of(path)):
                    append_line(folder / FOLDER / REMOVED, seal.removed(tip, path.name))
                path.unlink()
                remove_keys(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("%s can't be removed, though it is old: %s", path, error.strerror)
