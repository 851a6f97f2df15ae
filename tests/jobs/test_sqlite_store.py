"""Jobs are kept in SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from credit_risk.jobs.sqlite_store import SqliteJobs
from credit_risk.jobs.store import JobStore, StoreError
from tests.jobs.stores import CHECKS, a_job


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_store_in_sqlite(tmp_path: Path, check: Callable[[JobStore], None]) -> None:
    store = SqliteJobs(tmp_path / "new" / "jobs.sqlite")
    check(store)
    store.leave()


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    job = a_job()
    SqliteJobs(tmp_path / "jobs.sqlite").add(job)
    assert SqliteJobs(tmp_path / "jobs.sqlite").get(job.id) == job


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"something else, and long enough to be read as a header" * 10)
    with pytest.raises(StoreError, match=r"the jobs' file .* does not answer: DatabaseError"):
        SqliteJobs(path)


def test_many_may_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    for number in range(60):
        path, start, faults = tmp_path / f"{number}.sqlite", threading.Barrier(4), list[StoreError]()

        def make(path: Path = path, start: threading.Barrier = start, faults: list[StoreError] = faults) -> None:
            start.wait()
            try:
                SqliteJobs(path)
            except StoreError as error:
                faults.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == [], number
