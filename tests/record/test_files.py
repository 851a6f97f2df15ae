"""Records in files: rotation, retention, durability, and what happens if they can't be written."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.record import files, retention
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
    [file] = folder.glob(retention.FILES)
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
