"""Records written to a folder of files: a new file for each worker, each day, and whenever one is full.

Writing is a group commit: the records of a batch are one write, and their answers leave after it. If it fails, nothing
of the batch stays on record, and the service is not ready until records can be written again. Each worker writes files
of its own, so that no record is torn by another worker. A record that a crash tore is the last line of its file. A
sealed log is a chain of lines for each worker, which goes on from file to file and from process to process.
"""

from __future__ import annotations

import asyncio
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
from credit_risk.record.chain import Tip
from credit_risk.record.open_file import OpenFile
from credit_risk.record.retention import remove_old
from credit_risk.record.seal import FOLDER as SEAL
from credit_risk.record.seal import Seal
from credit_risk.record.slot import Slot

logger = logging.getLogger("bentoml.credit_risk")

Fsync = Literal["never", "interval", "batch"]

PROBE = b"\n" * 65_536
SYNC_SECONDS = 1.0


class RecordFiles:
    """Writes records to files in a folder. To be used on one event loop only.

    `fsync` says when records survive a power cut: `never` leaves it to the operating system, `interval` syncs every
    second, and `batch` syncs before `append` returns. Syncs run in one thread, in order, so that they neither block the
    event loop nor meet a descriptor that a rotation has closed: closing is the last thing the thread does to a file.
    """

    def __init__(
        self, folder: Path, *, fsync: Fsync, rotate_bytes: int, keep_days: int | None, seal: Seal | None = None
    ) -> None:
        self._folder = folder
        self._fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._keep_days = keep_days
        self._seal = seal
        self._slot: Slot | None = None  # of a sealed log
        self._archive = Archive(folder / FOLDER)
        self._archived: Basis | None = None  # beside the open file
        self._unarchived: Basis | None = None  # what could not be
        self._file: OpenFile | None = None
        self._ends = 0.0  # when the day of the open file ends, in seconds since the epoch
        self._fault: str | None = None
        self._syncing = ThreadPoolExecutor(1, thread_name_prefix="sync-records")
        self._sync_is_due = False
        self._signing: asyncio.TimerHandle | asyncio.Task[None] | None = None  # under way, or to come

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None, keys: bytes = b"") -> None:
        try:
            file = self._file_for(sum(map(len, lines)))
            if basis is not None and basis is not self._archived:
                self._keep(basis)
            await self._write(file, lines, keys)
            if self._fsync == "batch":
                await file.sync(self._syncing)
        except OSError as error:
            self._failed(error)
            raise UnavailableError(NOT_RECORDED) from None
        if self._fsync == "interval":
            self._sync_soon()
        if self._seal is not None and self._signing is None:
            self._signing = asyncio.get_running_loop().call_later(self._seal.seconds, self._sign_now)
        self._recovered()

    async def _write(self, file: OpenFile, lines: Sequence[bytes], keys: bytes) -> None:
        file.write(lines, keys)

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
        if self._signing is not None:
            self._signing.cancel()
        self._close_file()
        self._syncing.shutdown()
        if self._slot is not None:
            self._slot.give_back()

    def _file_for(self, size: int) -> OpenFile:
        """Give the open file, or a new one if `size` bytes more would make it too large or its day is over."""
        file, after = self._file, None
        if file is not None and file.is_gone():
            logger.error("Somebody has deleted the decision log %s; another file takes its place", file.path)
            after = self._close_file()
        elif file is not None and (file.size + size > self._rotate_bytes or time.time() >= self._ends):
            after = self._close_file()
        return self._file or self._open_file(after)

    def _open_file(self, after: Tip | None) -> OpenFile:
        """Open a new file. In a sealed log it goes on with the chain after a tip, or after what is on disk."""
        now = datetime.now(UTC)
        self._folder.mkdir(parents=True, exist_ok=True)
        writer = str(os.getpid())
        if self._seal is not None:
            if self._slot is None or self._slot.is_gone:
                self._slot, after = Slot.take(self._folder), None
            after = after or self._slot.tip()
            self._seal.key.publish(self._folder / SEAL)
            writer = self._slot.name
        file = OpenFile(self._folder / f"decisions-{now:%Y%m%dT%H%M%S.%fZ}-{writer}.ndjson", self._seal, after)
        self._file = file
        self._ends = (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()
        if self._keep_days is not None:
            remove_old(self._folder, now - timedelta(days=self._keep_days), self._seal)
        return file

    def _keep(self, basis: Basis) -> None:
        self._unarchived = basis
        self._archive.keep(basis)
        self._archived, self._unarchived = basis, None

    def _close_file(self) -> Tip | None:
        """Sign and close the file. Gives how far its chain has come."""
        self._archived = None  # the folder may be another one when the next file is opened
        file, self._file = self._file, None
        if file is None:
            return None
        try:
            self._hand_on(file.sign())
        except OSError as error:
            logger.error("The decision log can't be signed: %s", error.strerror)
        file.close(self._syncing, sync=self._fsync != "never")
        return file.tip

    def _sync_soon(self) -> None:
        if not self._sync_is_due:
            self._sync_is_due = True
            asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync_now)

    def _sync_now(self) -> None:
        self._sync_is_due = False
        if self._file is not None:  # else a rotation or the end has synced it
            self._syncing.submit(self._file.sync_in_background)

    def _sign_now(self) -> None:
        self._signing = asyncio.get_running_loop().create_task(self._sign())

    async def _sign(self) -> None:
        """Sign what was written since the last head, and hand the head on when it will not be taken back."""
        try:
            file = self._file
            if file is not None and (head := file.sign()):
                if self._fsync == "batch":
                    await file.sync(self._syncing)
                self._hand_on(head)
        except OSError as error:
            logger.error("The decision log can't be signed: %s", error.strerror)
        finally:
            self._signing = None

    def _hand_on(self, head: bytes | None) -> None:
        if self._seal is not None and head is not None:
            self._syncing.submit(self._seal.hand_on, head)

    def _failed(self, error: OSError) -> None:
        if self._fault is None:
            logger.error("Decisions can't be recorded, so none is made: %s: %s", self._folder, error.strerror)
        self._fault = str(error.strerror)

    def _recovered(self) -> None:
        if self._fault is not None:
            logger.info("Decisions are recorded and made again")
            self._fault = None


def probe_folder(folder: Path) -> None:
    """Raise OSError if nothing can be written into a folder. The folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(PROBE)
    finally:
        probe.unlink(missing_ok=True)
