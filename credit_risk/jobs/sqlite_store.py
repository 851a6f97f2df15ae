"""Jobs in a file of SQLite, which all processes of a machine share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from credit_risk.jobs.job import ENDED, STATES, Job
from credit_risk.jobs.store import Figures, Usage, translating

BUSY_SECONDS = 10.0  # to wait for another process
POLL_SECONDS = 0.01
TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, due REAL NOT NULL, size INTEGER NOT NULL, job TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_of_caller ON jobs (caller, id);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due);
CREATE INDEX IF NOT EXISTS jobs_in_state ON jobs (state, created);
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value TEXT NOT NULL, until REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS keys_until ON keys (until);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
COLUMNS = "(id, version, caller, state, created, due, size, job)"


class SqliteJobs:
    """A JobStore in a file, which is made if it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()  # a connection for each thread
        with self._transaction() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)

    def add(self, job: Job) -> None:
        with self._transaction() as db:
            db.execute(f"INSERT INTO jobs {COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _row_of(job))

    def get(self, job_id: str) -> Job | None:
        found = self._jobs("WHERE id = ?", job_id)
        return found[0] if found else None

    def replace(self, before: Job, after: Job | None, totals: dict[str, int] | None = None) -> bool:
        with self._transaction() as db:
            removed = db.execute("DELETE FROM jobs WHERE id = ? AND version = ?", (before.id, before.version))
            if removed.rowcount != 1:
                return False
            if after is not None:
                db.execute(f"INSERT INTO jobs {COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _row_of(after))
            for name, more in (totals or {}).items():
                add = "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
                db.execute(add, (name, more))
            return True

    def of_caller(self, caller: str | None, most: int) -> list[Job]:
        return self._jobs("WHERE caller = ? ORDER BY id DESC LIMIT ?", caller or "", most)

    def due(self, now: float, most: int) -> list[Job]:
        return self._jobs("WHERE due <= ? ORDER BY due LIMIT ?", now, most)

    def usage(self, caller: str | None) -> Usage:
        unfinished = f"count(*) FILTER (WHERE state NOT IN {ENDED})"
        with self._reading() as db:
            row = db.execute(f"SELECT {unfinished}, total(size) FROM jobs WHERE caller = ?", (caller or "",)).fetchone()
        return Usage(int(row[0]), int(row[1]))

    def figures(self) -> Figures:
        with self._reading() as db:
            counts = dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
            oldest = db.execute("SELECT min(created) FROM jobs WHERE state = 'queued'").fetchone()[0]
            totals = dict(db.execute("SELECT name, value FROM totals").fetchall())
        return Figures({state: counts.get(state, 0) for state in STATES}, oldest, totals)

    def claim_key(self, name: str, value: str, seconds: float) -> str | None:
        now = time.time()
        with self._transaction() as db:
            db.execute("DELETE FROM keys WHERE until <= ?", (now,))
            found = db.execute("SELECT value FROM keys WHERE name = ?", (name,)).fetchone()
            if found is None:
                db.execute("INSERT INTO keys VALUES (?, ?, ?)", (name, value, now + seconds))
            return None if found is None else str(found[0])

    def set_key(self, name: str, value: str, seconds: float) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (name, value, time.time() + seconds))

    def replace_key(self, name: str, before: str, after: str | None, seconds: float) -> bool:
        with self._transaction() as db:
            removed = db.execute("DELETE FROM keys WHERE name = ? AND value = ?", (name, before))
            if removed.rowcount == 1 and after is not None:
                db.execute("INSERT INTO keys VALUES (?, ?, ?)", (name, after, time.time() + seconds))
            return removed.rowcount == 1

    def drop_key(self, name: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM keys WHERE name = ?", (name,))

    def leave(self) -> None:
        if hasattr(self._local, "connection"):
            self._local.connection.close()
            del self._local.connection

    def _jobs(self, where: str, *values: object) -> list[Job]:
        with self._reading() as db:
            rows = db.execute(f"SELECT job FROM jobs {where}", values).fetchall()
        return [Job.model_validate_json(row[0]) for row in rows]

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Do all or nothing. Writers wait for each other at the beginning, where SQLite lets them."""
        with translating((sqlite3.Error, OSError), f"the jobs' file {self._path}"):
            db = self._connection()
            db.execute(begin)
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            _write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")  # a job that was accepted survives a power cut
            self._local.connection = db
        connection: sqlite3.Connection = self._local.connection
        return connection


def _write_ahead(db: sqlite3.Connection) -> None:
    """Turn write-ahead logging on. Others may do so at the same time, and for that SQLite itself does not wait."""
    given_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                raise
        time.sleep(POLL_SECONDS)


def _row_of(job: Job) -> tuple[object, ...]:
    return job.id, job.version, job.caller or "", job.state, job.created, job.due, job.size, job.model_dump_json()
