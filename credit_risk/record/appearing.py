"""Files that appear whole and durable, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from credit_risk.record.disk import sync_folder


def appear(path: Path, content: bytes) -> bool:
    """Make a file for this user alone. False if it is there already, whoever made it. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True
