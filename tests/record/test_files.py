"""Records in files: rotation, retention, durability, and what happens if they can't be written."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.record import files
from tests.deciders import record_files

LINE = b"a record\n"


def lines_of(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.ndjson")) for line in path.read_bytes().splitlines(keepends=True)]


def append(log: files.RecordFiles, *batches: list[bytes]) -> None:
    async def each() -> None:
        for batch in batches:
            await log.append(batch)

    asyncio.run(each())


def test_a_new_file_when_one_is_full_and_old_ones_go(tmp_path: Path) -> None:
    old = tmp_path / "decisions-20200101T000000.000000Z-1.ndjson"
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    other = tmp_path / "notes.txt"
    other.write_text("")
    os.utime(other, (0, 0))
    append(record_files(tmp_path, rotate_bytes=25, keep_days=30), *[[b"1234567890\n"]] * 5)
    assert sorted(path.stat().st_size for path in tmp_path.glob("*.ndjson")) == [11, 22, 22]
    assert not old.exists()
    assert other.exists()


def test_old_files_that_another_worker_removes_meanwhile_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "decisions-20200101T000000.000000Z-1.ndjson"
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError(2, "gone")))
    append(record_files(tmp_path, keep_days=30), [LINE])
    assert LINE in lines_of(tmp_path)


def test_a_new_file_on_a_new_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_files(tmp_path)
    append(log, [b"today\n"])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    append(log, [b"tomorrow\n"])
    assert len(list(tmp_path.glob("*.ndjson"))) == 2


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_that_somebody_deletes_is_noticed_before_the_next_record(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "log"
    log = record_files(folder)
    append(log, [b"lost\n"])
    [file] = folder.glob(files.FILES)
    shutil.rmtree(folder) if what == "folder" else file.unlink()
    with caplog.at_level("ERROR", "bentoml.credit_risk"):
        append(log, [b"kept\n"], [b"too\n"])
    assert lines_of(folder) == [b"kept\n", b"too\n"]
    assert log.is_healthy()
    assert [record.message for record in caplog.records] == [
        f"Somebody has deleted the decision log {file}; another file takes its place"
    ]


def test_files_are_for_the_service_alone(tmp_path: Path) -> None:
    append(record_files(tmp_path), [LINE])
    [path] = tmp_path.glob("*.ndjson")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("written", [0, 1, 7])
def test_what_could_not_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk, which takes some of the bytes."""
    log = record_files(tmp_path)
    append(log, [b"before\n"])
    caplog.set_level("INFO", "bentoml.credit_risk")
    write, full, left = os.write, True, written

    def some(descriptor: int, data: bytes) -> int:
        nonlocal left
        if not full or not b"123456789\n".endswith(bytes(data)):  # what others write
            return write(descriptor, data)
        if not left:
            raise OSError(28, "No space left on device")
        taken, left = left, 0
        return write(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", some)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="can't be recorded"):
            append(log, [b"123456789\n"])
        left = written
    assert lines_of(tmp_path) == [b"before\n"]
    full = False
    append(log, [b"after\n"])
    assert lines_of(tmp_path) == [b"before\n", b"after\n"]
    assert log.is_healthy()
    assert [record.levelname for record in caplog.records if record.name == "bentoml.credit_risk"] == ["ERROR", "INFO"]


def test_readiness_comes_back_without_a_request(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("a file where the folder should be")
    log = record_files(folder)
    assert log.is_healthy()
    with pytest.raises(UnavailableError):
        append(log, [LINE])
    assert not log.is_healthy()
    folder.unlink()
    assert log.is_healthy()
    append(log, [LINE])
    assert lines_of(folder) == [LINE]


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
