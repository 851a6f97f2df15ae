"""Records in files are made durable: never, with each batch, or within an interval."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.record import files
from tests.deciders import record_files
from tests.record.test_files import LINE, append, lines_of


class Watched:
    """Notes what happens to descriptors, in order, and in which thread; fails a sync if it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, int]] = []
        self.threads: set[str] = set()
        self.errors: list[OSError] = []
        self._before: Callable[[], None] = lambda: None
        write, fsync, close = os.write, os.fsync, os.close

        def watched_write(descriptor: int, data: bytes) -> int:
            if data.startswith(b"a record") or b"\na record" in bytes(data):
                self.events.append(("write", descriptor))
            return write(descriptor, data)

        def watched_fsync(descriptor: int) -> None:
            self._before()
            self.events.append(("fsync", descriptor))
            self.threads.add(threading.current_thread().name)
            if self.errors:
                raise self.errors.pop()
            fsync(descriptor)

        def watched_close(descriptor: int) -> None:
            if ("write", descriptor) in self.events:
                self.events.append(("close", descriptor))
            close(descriptor)

        monkeypatch.setattr(os, "write", watched_write)
        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "close", watched_close)

    def before_each_sync(self, action: Callable[[], None]) -> None:
        self._before = action

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_never_leaves_syncing_to_the_system(tmp_path: Path, watched: Watched) -> None:
    log = record_files(tmp_path, fsync="never", rotate_bytes=20)
    append(log, *[[LINE]] * 3)
    log.close()
    assert watched.kinds().count("close") == 2
    assert "fsync" not in watched.kinds()


def test_batch_syncs_before_it_returns_also_after_a_rotation(tmp_path: Path, watched: Watched) -> None:
    log = record_files(tmp_path, fsync="batch", rotate_bytes=20)

    async def each() -> None:
        for number in range(3):
            await log.append([LINE])
            assert watched.kinds().count("fsync") >= number + 1

    asyncio.run(each())
    log.close()
    assert watched.threads == {"sync-records_0"}  # never the event loop's
    assert_synced_before_closing(watched)


def test_interval_syncs_within_the_interval_off_the_event_loop(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SYNC_SECONDS", 0.01)
    log = record_files(tmp_path, fsync="interval")

    async def once() -> None:
        await log.append([LINE])
        assert watched.kinds() == ["write"]
        await until(lambda: watched.kinds() == ["write", "fsync"])
        await asyncio.sleep(0.05)  # nothing new, so nothing to sync

    asyncio.run(once())
    assert watched.kinds() == ["write", "fsync"]
    assert watched.threads == {"sync-records_0"}
    log.close()


def test_interval_syncs_both_ends_of_a_rotation_and_what_is_left_at_the_end(tmp_path: Path, watched: Watched) -> None:
    """The interval itself never comes here: a rotated file must not wait for it."""
    log = record_files(tmp_path, fsync="interval", rotate_bytes=20)
    append(log, *[[LINE]] * 5)
    log.close()
    assert len(list(tmp_path.glob("*.ndjson"))) == 3
    assert_synced_before_closing(watched)


def test_a_rotation_during_a_sync_closes_the_file_only_afterwards(tmp_path: Path, watched: Watched) -> None:
    """A descriptor that was closed and given to another file would be synced in its place."""
    rotated = threading.Event()
    watched.before_each_sync(lambda: wait_for(rotated))
    log = record_files(tmp_path, fsync="batch", rotate_bytes=20)

    async def rotate_under_way() -> None:
        first = asyncio.ensure_future(log.append([LINE, LINE]))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(log.append([LINE]))
        await asyncio.sleep(0.05)
        assert "close" not in watched.kinds()
        rotated.set()
        await asyncio.gather(first, second)

    asyncio.run(rotate_under_way())
    log.close()
    assert_synced_before_closing(watched)


def test_while_a_sync_is_under_way_the_next_batch_is_written(tmp_path: Path, watched: Watched) -> None:
    released = threading.Event()
    watched.before_each_sync(lambda: wait_for(released))
    log = record_files(tmp_path, fsync="batch")

    async def together() -> None:
        appended = [asyncio.ensure_future(log.append([LINE])) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert watched.kinds() == ["write", "write", "write"]
        assert not any(each.done() for each in appended)
        released.set()
        await asyncio.gather(*appended)

    asyncio.run(together())
    log.close()


def test_a_failed_sync_takes_back_all_that_was_not_durable(tmp_path: Path, watched: Watched) -> None:
    log = record_files(tmp_path, fsync="batch")
    append(log, [b"a record that stays\n"])

    async def two_under_way() -> list[Any]:
        watched.errors.append(OSError(5, "Input/output error"))
        return [*await asyncio.gather(log.append([LINE]), log.append([LINE]), return_exceptions=True)]

    assert {type(found) for found in asyncio.run(two_under_way())} == {UnavailableError}
    assert lines_of(tmp_path) == [b"a record that stays\n"]
    append(log, [b"a record that comes later\n"])
    assert lines_of(tmp_path) == [b"a record that stays\n", b"a record that comes later\n"]
    log.close()


def assert_synced_before_closing(watched: Watched) -> None:
    """Every descriptor was synced after its last write, and closed after that."""
    for descriptor in {descriptor for _, descriptor in watched.events}:
        uses: list[list[str]] = [[]]  # a number is given out again after it was closed
        for kind, number in watched.events:
            if number == descriptor:
                uses[-1].append(kind)
                if kind == "close":
                    uses.append([])
        assert uses[-1] == []
        assert all(use[-2:] == ["fsync", "close"] for use in uses[:-1]), watched.events


def wait_for(event: threading.Event) -> None:
    assert event.wait(10)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
