"""Records written to a folder of files: a new file for each worker, each day, and whenever one is full.

Writing is a group commit: the records of a batch are one write, and their answers leave after it. If it fails, nothing
of the batch stays on record, and the service is not ready until records can be written again. Each worker writes files
of its own, so that no record is torn by another worker. A record that a crash tore is the last line of its file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import NOT_RECORDED
from credit_risk.record.archive import FOLDER, Archive, Basis

logger = logging.getLogger("bentoml.credit_risk")

Fsync = Literal["never", "interval", "batch"]
FILES = "decisions-*.ndjson"
PROBE = b"\n" * 65_536
SYNC_SECONDS = 1.0
LINES = 1000  # that are put together for one write


class RecordFiles:
    """Writes records to files in a folder. To be used on one event loop only.

    `fsync` says when records survive a power cut: `never` leaves it to the operating system, `interval` syncs every
    second, and `batch` syncs before `append` returns. Syncs run in one thread, in order, so that they neither block the
    event loop nor meet a descriptor that a rotation has closed: closing is the last thing the thread does to a file.
    """

    def __init__(self, folder: Path, *, fsync: Fsync, rotate_bytes: int, keep_days: int | None) -> None:
        self._folder = folder
        self._fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._keep_days = keep_days
        self._archive = Archive(folder / FOLDER)
        self._archived: Basis | None = None  # beside the open file
        self._unarchived: Basis | None = None  # what could not be
        self._file: _File | None = None
        self._ends = 0.0  # when the day of the open file ends, in seconds since the epoch
        self._fault: str | None = None
        self._syncing = ThreadPoolExecutor(1, thread_name_prefix="sync-records")
        self._sync_is_due = False

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None) -> None:
        try:
            file = self._file_for(sum(map(len, lines)))
            if basis is not None and basis is not self._archived:
                self._keep(basis)
            file.write(lines)
            if self._fsync == "batch":
                await file.sync(self._syncing)
        except OSError as error:
            self._failed(error)
            raise UnavailableError(NOT_RECORDED) from None
        if self._fsync == "interval":
            self._sync_soon()
        self._recovered()

    def is_healthy(self) -> bool:
        if self._fault is not None:
            try:
                probe_folder(self._folder)
                if self._unarchived is not None:
                    self._keep(self._unarchived)
            except OSError:
                return False
            self._recovered()
        return True

    def close(self) -> None:
        self._close_file()
        self._syncing.shutdown()

    def _file_for(self, size: int) -> _File:
        """Give the open file, or a new one if `size` bytes more would make it too large or its day is over."""
        if self._file is not None and self._file.is_gone():
            logger.error("Somebody has deleted the decision log %s; another file takes its place", self._file.path)
            self._close_file()
        if self._file is not None and (self._file.size + size > self._rotate_bytes or time.time() >= self._ends):
            self._close_file()
        if self._file is None:
            now = datetime.now(UTC)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = _File(self._folder / f"decisions-{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.ndjson")
            self._ends = (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()
            self._remove_old(now)
        return self._file

    def _keep(self, basis: Basis) -> None:
        self._unarchived = basis
        self._archive.keep(basis)
        self._archived, self._unarchived = basis, None

    def _close_file(self) -> None:
        self._archived = None  # the folder may be another one when the next file is opened
        if self._file is not None:
            self._syncing.submit(self._file.close, sync=self._fsync != "never")
            self._file = None

    def _remove_old(self, now: datetime) -> None:
        if self._keep_days is None:
            return
        oldest = (now - timedelta(days=self._keep_days)).timestamp()
        for path in self._folder.glob(FILES):
            # Another worker may have removed it first. Whatever goes wrong here, decisions go on.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _sync_soon(self) -> None:
        if not self._sync_is_due:
            self._sync_is_due = True
            asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync_now)

    def _sync_now(self) -> None:
        self._sync_is_due = False
        if self._file is not None:  # else a rotation or the end has synced it
            self._syncing.submit(self._file.sync_in_background)

    def _failed(self, error: OSError) -> None:
        if self._fault is None:
            logger.error("Decisions can't be recorded, so none is made: %s: %s", self._folder, error.strerror)
        self._fault = str(error.strerror)

    def _recovered(self) -> None:
        if self._fault is not None:
            logger.info("Decisions are recorded and made again")
            self._fault = None


class _File:
    """One open file. Its methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self.size = 0  # bytes
        self._synced = 0  # bytes that survive a power cut, as far as syncs have been waited for
        self._lost = 0  # how often unsynced bytes were taken back

    def write(self, lines: Sequence[bytes]) -> None:
        """Write all of the lines or none of them."""
        size = self.size
        try:
            for begin in range(0, len(lines), LINES):
                data = b"".join(lines[begin : begin + LINES])
                write_all(self._descriptor, data)
                size += len(data)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size = size

    def is_gone(self) -> bool:
        """Tell whether somebody has deleted the file: what is written to it would be lost."""
        return os.fstat(self._descriptor).st_nlink == 0

    async def sync(self, thread: ThreadPoolExecutor) -> None:
        """Wait until what was written is durable. If it can't be, it is taken back, with all that was written since."""
        lost, size = self._lost, self.size
        try:
            await asyncio.get_running_loop().run_in_executor(thread, os.fsync, self._descriptor)
        except OSError:
            if lost == self._lost:
                self._lost += 1
                os.ftruncate(self._descriptor, self._synced)
                self.size = self._synced
            raise
        if lost != self._lost:  # the sync of an earlier batch failed, and took this one's records with it
            raise OSError(0, "an earlier sync failed")
        self._synced = max(self._synced, size)

    def sync_in_background(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            logger.error("Decisions can't be made durable: %s", error.strerror)

    def close(self, *, sync: bool) -> None:
        if sync:
            self.sync_in_background()
        os.close(self._descriptor)


def probe_folder(folder: Path) -> None:
    """Raise OSError if nothing can be written into a folder. The folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(PROBE)
    finally:
        probe.unlink(missing_ok=True)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data, in as many pieces as the system takes."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
