"""Records of large requests, in files of their own, so that nobody else waits while they are linked and written.

What is written at once can be taken back at once, but it stops the event loop: for ten thousand sealed records that is
a twentieth of a second. In a file, and a chain, that nobody else writes to, they can be written in parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from credit_risk.record.archive import Basis
from credit_risk.record.files import RecordFiles
from credit_risk.record.open_file import OpenFile

LARGE = 250  # records
PART = 100  # records that are written in one turn of the event loop


class LargeFiles(RecordFiles):
    """Writes the records of one large request after the other."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._turn = asyncio.Lock()

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None, keys: bytes = b"") -> None:
        async with self._turn:
            await super().append(lines, basis, keys)

    async def _write(self, file: OpenFile, lines: Sequence[bytes], keys: bytes) -> None:
        before = file.end
        try:
            for begin in range(0, len(lines), PART):
                file.write(lines[begin : begin + PART], b"" if begin else keys)
                await asyncio.sleep(0)
        except BaseException:  # also if the caller has gone
            file.take_back(before)
            raise

    async def _sign(self) -> None:
        async with self._turn:  # what is signed can't be taken back
            await super()._sign()


class RecordFolder:
    """A folder of records of small and of large requests."""

    def __init__(self, small: RecordFiles, large: LargeFiles) -> None:
        self._small = small
        self._large = large

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None, keys: bytes = b"") -> None:
        await (self._large if len(lines) > LARGE else self._small).append(lines, basis, keys)

    def is_healthy(self) -> bool:
        return self._small.is_healthy() and self._large.is_healthy()

    def close(self) -> None:
        self._small.close()
        self._large.close()
