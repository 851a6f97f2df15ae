"""Records written to a stream, such as the standard output of a container."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Iterator, Sequence

from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import NOT_RECORDED
from credit_risk.record.archive import Basis, archived_lines

ATOMIC = 4096  # bytes that a pipe takes from several writers without mixing them (POSIX's PIPE_BUF on Linux)
STDOUT = 1
SECONDS = 1.0  # for whoever reads the stream to make room
PAUSE = 0.005
DAY = 86_400  # seconds


class RecordStream:
    """Writes a few whole lines at once, so that the lines of several workers don't mix.

    It never blocks: if the stream is full, it waits for room for a second, and then refuses until there is room.
    What a stream has taken can't be taken back, so a large request that fails may be on record in part. What decisions
    are made with goes ahead of the first of them, and again each day, so that the records of a day stand alone.
    """

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor
        self._is_healthy = True
        self._turn = asyncio.Lock()
        self._archived: Basis | None = None
        self._day = 0  # when that was, in days since the epoch

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None) -> None:
        os.set_blocking(self._descriptor, False)
        try:
            async with self._turn:  # lines stay in order
                if basis is not None:
                    await self._archive(basis)
                for piece in _pieces(lines):
                    await self._write(piece)
        except OSError:
            self._is_healthy = False
            raise UnavailableError(NOT_RECORDED) from None
        self._is_healthy = True

    def is_healthy(self) -> bool:
        if not self._is_healthy:
            self._is_healthy = self._has_room()
        return self._is_healthy

    def close(self) -> None:
        pass  # the stream is the process's, not ours

    async def _archive(self, basis: Basis) -> None:
        day = int(time.time()) // DAY
        if basis is not self._archived or day != self._day:
            for line in archived_lines(basis):
                await self._write(line)
            self._archived, self._day = basis, day

    async def _write(self, piece: bytes) -> None:
        """Write the whole piece. Raises OSError if there is no room in time."""
        deadline = time.monotonic() + (SECONDS if self._is_healthy else 0)
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(PAUSE)

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return [event for _, event in poll.poll(0)] == [select.POLLOUT]


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Join lines up to ATOMIC bytes. A longer line is a piece of its own."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > ATOMIC:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
