"""Fill and read the SQLite file of a feature store."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from credit_risk.contract.errors import DataError
from credit_risk.deciding.feature_store import Fields, Profile, pack, unpack
from credit_risk.deciding.sqlite_store import SCHEMA
from credit_risk.portfolio.stores import merged

PUT = "INSERT OR REPLACE INTO profiles VALUES (?, ?)"
GET = "SELECT profile FROM profiles WHERE customer = ?"


class SQLiteProfiles:
    """A SQLite file of profiles. Whoever changes it makes a new one, and puts it in the old one's place."""

    def __init__(self, path: Path) -> None:
        self.source = f"sqlite:///{path}"
        self._path = path

    @contextmanager
    def writing(self, *, update: bool) -> Iterator[_Writer]:
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("ab") as lock:
                _lock(lock.fileno(), self._path)
                try:
                    lock.truncate(0)
                    if update and self._path.exists():
                        with self._path.open("rb") as before:
                            shutil.copyfileobj(before, lock)
                        lock.flush()
                    with closing(sqlite3.connect(part, isolation_level=None)) as database:
                        writer = _Writer(database, update=update)
                        yield writer
                        database.execute("COMMIT")
                    if writer.whole:
                        os.fsync(lock.fileno())
                        part.replace(self._path)
                finally:
                    part.unlink(missing_ok=True)
        except (OSError, sqlite3.Error) as error:
            raise DataError(f"{self._path} can't be written: {error}; name a file that can") from None

    def get(self, customer: str) -> Profile | None:
        with self._open() as database:
            found = database.execute(GET, (customer,)).fetchone()
        return unpack(found and found[0])

    def scan(self) -> Iterator[tuple[str, Profile]]:
        with self._open() as database:
            for customer, packed in database.execute("SELECT customer, profile FROM profiles"):
                profile = unpack(packed)
                assert profile is not None
                yield customer, profile

    def count(self) -> int:
        with self._open() as database:
            return int(database.execute("SELECT count(*) FROM profiles").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            fix = "load it with `python -m credit_risk features load`"
            raise DataError(f"{self._path} can't be read: {error}; {fix}") from None


class _Writer:
    """Writes within one transaction, in a file that nobody else knows."""

    def __init__(self, database: sqlite3.Connection, *, update: bool) -> None:
        self.whole = False
        self._database = database
        self._update = update
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")  # it is synced once, at the end
        database.execute("BEGIN")
        database.execute(SCHEMA.replace("TABLE", "TABLE IF NOT EXISTS"))

    def put(self, profiles: Mapping[str, Fields]) -> None:
        if self._update:
            profiles = {customer: merged(self._get(customer), fields) for customer, fields in profiles.items()}
        self._database.executemany(PUT, ((customer, pack(fields)) for customer, fields in profiles.items()))

    def _get(self, customer: str) -> Profile | None:
        found = self._database.execute(GET, (customer,)).fetchone()
        return unpack(found and found[0])


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"somebody else is loading {path} now; wait until that is done") from None
