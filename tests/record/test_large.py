"""Large requests: written in parts into files of their own, all or nothing, while others write on."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.record.large import LARGE, PART, LargeFiles, RecordFolder
from credit_risk.record.open_file import OpenFile
from tests.record.sealed_logs import a_record, files_in, found_in, lines_of, seal_of, sealed_files

ROWS = 10 * PART


def folder_of(folder: Path) -> RecordFolder:
    seal = seal_of(folder)
    large = LargeFiles(folder, fsync="never", rotate_bytes=2**30, keep_days=None, seal=seal)
    return RecordFolder(sealed_files(folder, seal=seal, rotate_bytes=2**30), large)


def records(count: int) -> list[bytes]:
    return [a_record(number) for number in range(count)]


def numbers_in(path: Path) -> int:
    return sum(b'"number":' in line and b'"status"' in line for line in lines_of(path))


def test_small_and_large_requests_go_into_files_of_their_own_which_hold(tmp_path: Path) -> None:
    async def run() -> None:
        log = folder_of(tmp_path)
        for count in (1, LARGE, ROWS, 2, LARGE + 1):
            await log.append(records(count))
        log.close()

    asyncio.run(run())
    assert sorted(numbers_in(path) for path in files_in(tmp_path)) == sorted((1 + LARGE + 2, ROWS + LARGE + 1))
    assert not found_in(tmp_path).faults


def test_others_write_while_a_large_request_is_written(tmp_path: Path) -> None:
    async def run() -> int:
        log = folder_of(tmp_path)
        large = asyncio.ensure_future(log.append(records(ROWS)))
        written = 0
        while not large.done():
            await log.append(records(1))
            written += 1
            await asyncio.sleep(0)
        log.close()
        return written

    assert asyncio.run(run()) >= ROWS // PART - 1
    assert not found_in(tmp_path).faults


def test_large_requests_are_written_one_after_the_other(tmp_path: Path) -> None:
    async def run() -> None:
        log = folder_of(tmp_path)
        await asyncio.gather(*[log.append([a_record(number)] * ROWS) for number in range(3)])
        log.close()

    asyncio.run(run())
    [path] = files_in(tmp_path)
    order = [line.partition(b",")[2].partition(b",")[0] for line in lines_of(path) if b'"status"' in line]
    assert order == sorted(order)
    assert len(order) == 3 * ROWS


@pytest.mark.parametrize("parts", [0, 1, 7])
def test_a_disk_that_becomes_full_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    write, left = os.write, parts

    def some(descriptor: int, data: bytes) -> int:
        nonlocal left
        if bytes(data).count(b'"status"') < PART:
            return write(descriptor, data)
        if not left:
            raise OSError(28, "No space left on device")
        left -= 1
        return write(descriptor, data)

    async def run() -> None:
        nonlocal left
        log = folder_of(tmp_path)
        monkeypatch.setattr(os, "write", some)
        with pytest.raises(UnavailableError):
            await log.append(records(ROWS))
        assert [numbers_in(path) for path in files_in(tmp_path)] == [0]
        left = 100
        await log.append(records(ROWS))
        log.close()

    asyncio.run(run())
    assert [numbers_in(path) for path in files_in(tmp_path)] == [ROWS]
    assert not found_in(tmp_path).faults


def test_a_caller_who_goes_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        log = folder_of(tmp_path)
        large = asyncio.ensure_future(log.append(records(ROWS)))
        for _ in range(4):
            await asyncio.sleep(0)
        [path] = files_in(tmp_path)
        assert 0 < numbers_in(path) < ROWS
        large.cancel()
        await asyncio.gather(large, return_exceptions=True)
        assert numbers_in(path) == 0
        await log.append(records(ROWS))
        log.close()

    asyncio.run(run())
    assert not found_in(tmp_path).faults


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_nothing_is_signed_that_could_be_taken_back(tmp_path: Path, is_cancelled: bool) -> None:
    """A head that is due in the middle of a large request waits for its end."""

    async def run() -> None:
        log = folder_of(tmp_path)
        await log.append(records(ROWS))
        large = asyncio.ensure_future(log.append(records(ROWS)))
        await asyncio.sleep(0)
        signing = asyncio.ensure_future(log._large._sign())
        for _ in range(4):
            await asyncio.sleep(0)
        [path] = files_in(tmp_path)
        assert ROWS < numbers_in(path) < 2 * ROWS
        assert b'"signature"' not in path.read_bytes()
        if is_cancelled:
            large.cancel()
        await asyncio.gather(large, signing, return_exceptions=True)
        assert numbers_in(path) == (ROWS if is_cancelled else 2 * ROWS)
        assert b'"signature"' in lines_of(path)[-1]
        log.close()

    asyncio.run(run())
    assert not found_in(tmp_path).faults


def test_a_file_that_is_about_to_be_closed_is_not_touched_any_more(tmp_path: Path) -> None:
    """Its descriptor may soon be another file's."""
    path = tmp_path / "decisions.ndjson"
    file, may_close = OpenFile(path), threading.Event()
    before = file.end
    file.write([b"a line\n"])
    with ThreadPoolExecutor(1) as thread:
        thread.submit(may_close.wait)
        file.close(thread, sync=False)
        try:
            with pytest.raises(OSError, match="closed"):
                file.write([b"another\n"])
            file.take_back(before)
        finally:
            may_close.set()
    assert path.read_bytes() == b"a line\n"


def test_a_log_that_is_closed_in_the_middle_is_like_one_whose_worker_was_killed(tmp_path: Path) -> None:
    async def run() -> None:
        log = folder_of(tmp_path)
        large = asyncio.ensure_future(log.append(records(ROWS)))
        for _ in range(3):
            await asyncio.sleep(0)
        log.close()
        with pytest.raises(UnavailableError):
            await large

    asyncio.run(run())
    assert not found_in(tmp_path).faults
