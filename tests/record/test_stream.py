from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from credit_risk.contract.errors import UnavailableError
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
