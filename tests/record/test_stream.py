from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.record import stream as module
from credit_risk.record.stream import RecordStream


def test_a_stream_gets_whole_lines_in_pieces_that_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        pieces.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    path = tmp_path / "stream"
    with path.open("wb") as stream:
        asyncio.run(RecordStream(stream.fileno()).append([b"x" * 1500 + b"\n"] * 5 + [b"y" * 9000 + b"\n"]))
    assert path.read_bytes() == (b"x" * 1500 + b"\n") * 5 + b"y" * 9000 + b"\n"
    assert [piece for piece in pieces if piece] == [3002, 3002, 1501, 9001]


def test_a_stream_that_nobody_reads_is_unhealthy_until_it_takes_records_again() -> None:
    reading, writing = os.pipe()
    log = RecordStream(writing)
    assert log.is_healthy()
    os.close(reading)
    with pytest.raises(UnavailableError, match="can't be recorded"):
        asyncio.run(log.append([b"a record\n"]))
    assert not log.is_healthy()
    os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    asyncio.run(log.append([b"a record\n"]))
    assert log.is_healthy()
    os.close(writing)


def full_pipe() -> tuple[int, int]:
    """A pipe that nobody reads, with room for nothing."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    return reading, writing


def test_a_stream_without_room_holds_up_nobody_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    reading, writing = full_pipe()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async def scenario() -> None:
        log = RecordStream(writing)
        others = asyncio.ensure_future(count_turns())
        with pytest.raises(UnavailableError, match="can't be recorded"):
            await log.append([b"a record\n"])
        assert turns >= 5
        assert not log.is_healthy()
        before = turns
        with pytest.raises(UnavailableError):  # at once, now that it is known
            await log.append([b"a record\n"])
        assert turns - before <= 20
        while not log.is_healthy():
            os.read(reading, 4096)
        await log.append([b"the last record\n"])
        others.cancel()

    asyncio.run(scenario())
    os.set_blocking(reading, False)
    assert os.read(reading, 2**20).endswith(b"the last record\n")
    os.close(reading)
    os.close(writing)


def test_records_wait_for_room_in_their_order() -> None:
    reading, writing = full_pipe()

    async def scenario() -> None:
        log = RecordStream(writing)
        waiting = [asyncio.ensure_future(log.append([b"%d\n" % number])) for number in range(5)]
        await asyncio.sleep(0.02)
        assert not any(append.done() for append in waiting)
        os.read(reading, 2**20)
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
    assert os.read(reading, 2**20) == b"0\n1\n2\n3\n4\n"
    os.close(reading)
    os.close(writing)
