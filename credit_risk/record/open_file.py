"""A file of records that is written to: whole groups of lines, sealed or not, made durable as was asked for."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from credit_risk.record.chain import Tip, link
from credit_risk.record.disk import write_all
from credit_risk.record.keys import KeyFile
from credit_risk.record.seal import Seal

logger = logging.getLogger("bentoml.credit_risk")
LINES = 1000  # that are put together for one write


class End(NamedTuple):
    """The end of a file."""

    size: int  # bytes
    lines: int  # counted only if they are sealed
    digest: str  # of the last line, or of that of the file before


class OpenFile:
    """One open file. Its methods raise OSError."""

    def __init__(
        self, path: Path, seal: Seal | None = None, after: Tip | None = None, named: Path | None = None
    ) -> None:
        """With a seal, the file goes on with the chain `after` this tip. It will be `named` so if it is renamed."""
        self.path = path
        self._named = named or path
        self._keys: KeyFile | None = None  # of an encrypted log
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._seal, self._after = seal, after
        self._end = End(0, 0, after.digest if after else "")
        self._synced = self._end  # what survives a power cut, as far as syncs have been waited for
        self._lost = 0  # how often unsynced lines were taken back
        self._signed_lines = 0  # that the last head and what is ahead of it are
        self._is_closed = False

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._end.size

    @property
    def tip(self) -> Tip | None:
        """How far the chain has come."""
        if self._after is None or not self._end.size:
            return self._after
        return Tip(self._after.chain, self._after.number + 1, self._end.digest)

    def write(self, lines: Sequence[bytes], keys: bytes = b"") -> None:
        """Write all of the lines or none of them, and before them the keys that they are encrypted with."""
        if keys:
            self._keys = self._keys or KeyFile.create(self._named)
            self._keys.add(keys)
        if self._is_closed:
            raise OSError(errno.EBADF, "the file is closed")
        size, counted, digest = self._end
        if self._seal is not None and self._after is not None:
            if not size:
                lines = [self._seal.begin(self._after), *lines]
            lines, digest = link(lines, digest)
            counted += len(lines)
        try:
            for begin in range(0, len(lines), LINES):
                data = b"".join(lines[begin : begin + LINES])
                write_all(self._descriptor, data)
                size += len(data)
        except OSError:
            os.ftruncate(self._descriptor, self._end.size)
            raise
        self._end = End(size, counted, digest)

    @property
    def end(self) -> End:
        """How far the file has come."""
        return self._end

    def take_back(self, end: End) -> None:
        """Take back what was written after an end, unless the file is closed. Nothing there may be synced or signed."""
        if not self._is_closed:
            os.ftruncate(self._descriptor, end.size)
            self._end = end

    def sign(self) -> bytes | None:
        """Write a head, unless the last line is one. Gives it as it stands there."""
        tip, end = self.tip, self._end
        if self._seal is None or tip is None or end.lines == self._signed_lines:
            return None
        head = self._seal.head(tip, end.lines)
        self.write([head])
        self._signed_lines = self._end.lines
        [linked], _ = link([head], end.digest)
        return linked

    def is_gone(self) -> bool:
        """Tell whether somebody has deleted the file or its keys: what is written to it would be lost."""
        if self._keys is not None and self._keys.is_gone():
            return True
        return os.fstat(self._descriptor).st_nlink == 0

    async def sync(self, thread: ThreadPoolExecutor) -> None:
        """Wait until what was written is durable. If it can't be, it is taken back, with all that was written since.

        A file that was closed meanwhile keeps it, because the next file is linked to its end.
        """
        lost, end = self._lost, self._end
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._sync)
        except OSError:
            if lost == self._lost and not self._is_closed:
                self._lost += 1
                os.ftruncate(self._descriptor, self._synced.size)
                self._end = self._synced
                self._signed_lines = 0
            raise
        if lost != self._lost:  # the sync of an earlier batch failed, and took this one's records with it
            raise OSError(0, "an earlier sync failed")
        self._synced = max(self._synced, end)

    def sync_in_background(self) -> None:
        """Sync, and log an error if that fails."""
        try:
            self._sync()
        except OSError as error:
            logger.error("Decisions can't be made durable: %s", error.strerror)

    def close(self, thread: ThreadPoolExecutor, *, sync: bool) -> None:
        """Close the file in the thread, after the syncs that wait there, and sync it before that."""
        self._is_closed = True
        thread.submit(self._close, sync=sync)

    def finish(self) -> None:
        """Make the file durable, and close it."""
        try:
            self._sync()
        finally:
            self._close(sync=False)

    def _sync(self) -> None:
        if self._keys is not None:
            self._keys.sync()
        os.fsync(self._descriptor)

    def _close(self, *, sync: bool) -> None:
        if sync:
            self.sync_in_background()
        if self._keys is not None:
            self._keys.close()
        os.close(self._descriptor)
