"""What is on file, in one SQLite file: the store that needs no server."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from credit_risk.contract.errors import FeaturesError
from credit_risk.deciding.feature_store import Profile, StoreError, unpack

SCHEMA = "CREATE TABLE profiles (customer TEXT PRIMARY KEY, profile BLOB NOT NULL) WITHOUT ROWID"
_LOOK_UP = "SELECT customer, profile FROM profiles WHERE customer IN (SELECT value FROM json_each(?))"


class SQLiteStore:
    """Reads the file on the event loop: a look-up takes microseconds, and nothing ever locks the file.

    Whoever loads it puts a new file in its place, which is noticed at the next look-up.
    """

    def __init__(self, path: Path) -> None:
        """Raises FeaturesError if there is no such file, or it is something else."""
        self.source = f"sqlite:///{path}"
        self._path = path
        self._is: tuple[int, int] | None = None  # device and inode of the open file
        self._database: sqlite3.Connection | None = None
        try:
            self._follow().execute(_LOOK_UP, ("[]",)).fetchall()
        except (OSError, sqlite3.Error) as error:
            fix = "load it with `python -m credit_risk features load`"
            raise FeaturesError(f"CREDIT_RISK_FEATURES: {path} can't be used: {_reason(error)}; {fix}") from None

    async def look_up(self, customers: Sequence[str]) -> list[Profile | None]:
        try:
            found = dict(self._follow().execute(_LOOK_UP, (json.dumps(customers),)))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(_reason(error)) from None
        return [unpack(found.get(customer)) for customer in customers]

    async def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _follow(self) -> sqlite3.Connection:
        """Open the file that is there now."""
        there = os.stat(self._path)
        if self._database is None or self._is != (there.st_dev, there.st_ino):
            if self._database is not None:
                self._database.close()
                self._database = None
            # Nobody writes to a file once it is in place, so no lock is needed, and a read-only volume will do.
            address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._is = there.st_dev, there.st_ino
        return self._database


def _reason(error: OSError | sqlite3.Error) -> str:
    return (error.strerror or "unknown") if isinstance(error, OSError) else str(error)
