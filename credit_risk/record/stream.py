"""Records written to a stream, such as the standard output of a container."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections.abc import Iterator, Sequence
from uuid import uuid4

from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import NOT_RECORDED
from credit_risk.record.archive import Basis, archived_lines
from credit_risk.record.chain import Tip, genesis, link
from credit_risk.record.seal import Seal

ATOMIC = 4096  # bytes that a pipe takes from several writers without mixing them (POSIX's PIPE_BUF on Linux)
PART = 100  # lines that are written in one turn of the event loop
LINK = 80  # bytes that a link makes a line longer
STDOUT = 1
SECONDS = 1.0  # for whoever reads the stream to make room
PAUSE = 0.005
DAY = 86_400  # seconds


class RecordStream:
    """Writes a few whole lines at once, so that the lines of several workers don't mix.

    It never blocks: if the stream is full, it waits for room for a second, and then refuses until there is room.
    What a stream has taken can't be taken back, so a large request that fails may be on record in part. What decisions
    are made with goes ahead of the first of them, and again each day, so that the records of a day stand alone. With a
    seal, each process has a chain of its own among the lines of the others.
    """

    def __init__(self, descriptor: int = STDOUT, seal: Seal | None = None) -> None:
        self._descriptor = descriptor
        self._seal = seal
        self._tip = genesis(str(uuid4()))
        self._lines = 0  # of the chain
        self._signing: asyncio.TimerHandle | asyncio.Task[None] | None = None  # under way, or to come
        self._is_healthy = True
        self._turn = asyncio.Lock()
        self._archived: Basis | None = None
        self._day = 0  # when that was, in days since the epoch

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None, keys: bytes = b"") -> None:
        assert not keys  # settings refuse to encrypt a stream, beside which keys can't be
        os.set_blocking(self._descriptor, False)
        try:
            for begin in range(0, len(lines), PART):
                async with self._turn:  # lines stay in order; other requests' may come between the parts
                    if basis is not None:
                        await self._archive(basis)
                    await self._write_all(lines[begin : begin + PART])
                if len(lines) > PART:
                    await asyncio.sleep(0)
        except OSError:
            self._is_healthy = False
            raise UnavailableError(NOT_RECORDED) from None
        self._is_healthy = True
        if self._seal is not None and self._signing is None:
            self._signing = asyncio.get_running_loop().call_later(self._seal.seconds, self._sign_now)

    def is_healthy(self) -> bool:
        if not self._is_healthy:
            self._is_healthy = self._has_room()
        return self._is_healthy

    def close(self) -> None:
        """Sign what was written, if there is room. The stream itself is the process's, not ours."""
        if self._signing is not None:
            self._signing.cancel()
        if self._seal is not None and self._lines:
            head, _ = link([self._head(self._seal)], self._tip.digest)
            with contextlib.suppress(OSError):
                os.write(self._descriptor, head[0])
                self._seal.hand_on(head[0])

    async def _archive(self, basis: Basis) -> None:
        day = int(time.time()) // DAY
        if basis is not self._archived or day != self._day:
            await self._write_all(archived_lines(basis))
            self._archived, self._day = basis, day

    async def _write_all(self, lines: Sequence[bytes]) -> list[bytes]:
        """Write lines, linked if there is a seal. Gives them as they were written."""
        written: list[bytes] = []
        if self._seal is not None and not self._lines:
            lines = [self._seal.begin(self._tip), *lines]
        for piece in _pieces(lines, LINK if self._seal else 0):
            linked, digest = link(piece, self._tip.digest) if self._seal else (piece, "")
            await self._write(b"".join(linked))
            self._tip = Tip(self._tip.chain, 1, digest)
            self._lines += len(linked)
            written += linked
        return written

    def _head(self, seal: Seal) -> bytes:
        return seal.head(self._tip, self._lines)

    def _sign_now(self) -> None:
        self._signing = asyncio.get_running_loop().create_task(self._sign())

    async def _sign(self) -> None:
        assert self._seal is not None
        try:
            async with self._turn:
                [head] = await self._write_all([self._head(self._seal)])
            await asyncio.to_thread(self._seal.hand_on, head)
        except OSError:
            self._is_healthy = False
        finally:
            self._signing = None

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


def _pieces(lines: Sequence[bytes], more: int) -> Iterator[list[bytes]]:
    """Group lines up to ATOMIC bytes, if each becomes so many bytes longer. A longer line is a piece of its own."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) + more > ATOMIC:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line) + more
    if piece:
        yield piece
