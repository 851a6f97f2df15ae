"""The decision log: every decision is on record before it is answered.

It is a group commit: the decisions of a batch are one write, and the answers leave after it. If that fails, nothing of
the batch stays on record, the requests are answered 503, and the service says that it is not ready until records can be
written again. Each worker writes files of its own, so that a record is never torn by another; one that a crash tore is
the last line of a file.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from credit_risk.contract.errors import SettingError, UnavailableError
from credit_risk.serving.settings import Settings

logger = logging.getLogger("bentoml.credit_risk")

ATOMIC = 4096  # bytes that a pipe takes in one piece from several writers (POSIX's PIPE_BUF on Linux)
PROBE = b"\n" * 65_536
SYNC_SECONDS = 1.0
STDOUT = 1


class Log(Protocol):
    """Where records go."""

    def append(self, records: list[bytes]) -> None:
        """Put lines on record, all or none. Raises UnavailableError where that can't be done."""

    def is_healthy(self) -> bool:
        """Whether records can be written."""


class NoLog:
    """Keeps nothing."""

    def append(self, records: list[bytes]) -> None:
        pass

    def is_healthy(self) -> bool:
        return True


class StreamLog:
    """Writes to a stream that others collect, a few lines at once, so that those of several workers don't mix."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor

    def append(self, records: list[bytes]) -> None:
        piece = b""
        for record in [*records, b""]:
            if piece and (not record or len(piece) + len(record) > ATOMIC):
                try:
                    _write_all(self._descriptor, piece)
                except OSError as error:
                    raise UnavailableError(_NOT_RECORDED) from error
                piece = b""
            piece += record

    def is_healthy(self) -> bool:
        return True


class FileLog:
    """Writes to files in a folder, a new one for each day and whenever one is full."""

    def __init__(self, folder: Path, *, fsync: str, rotate_bytes: int, keep_days: int | None) -> None:
        self._folder = folder
        self._fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._keep_days = keep_days
        self._descriptor: int | None = None
        self._size = 0
        self._ends = 0.0  # of the day of the file that is open
        self._fault: str | None = None
        self._unsynced = threading.Event()
        if fsync == "interval":
            threading.Thread(target=self._sync_at_intervals, daemon=True).start()

    def append(self, records: list[bytes]) -> None:
        data = b"".join(records)
        try:
            descriptor = self._open_for(len(data))
            try:
                _write_all(descriptor, data)
                if self._fsync == "batch":
                    os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self._size)
                raise
        except OSError as error:
            self._failed(error)
            raise UnavailableError(_NOT_RECORDED) from None
        self._size += len(data)
        self._unsynced.set()
        self._recovered()

    def is_healthy(self) -> bool:
        if self._fault is not None:
            try:
                probe_folder(self._folder)
            except OSError:
                return False
            self._recovered()
        return True

    def _open_for(self, size: int) -> int:
        if self._descriptor is not None and (self._size + size > self._rotate_bytes or time.time() >= self._ends):
            os.close(self._descriptor)
            self._descriptor = None
        if self._descriptor is None:
            now = datetime.now(UTC)
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"decisions-{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.ndjson"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._size = 0
            self._ends = (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()
            self._remove_old(now)
        return self._descriptor

    def _remove_old(self, now: datetime) -> None:
        if self._keep_days is not None:
            oldest = (now - timedelta(days=self._keep_days)).timestamp()
            for path in self._folder.glob("decisions-*.ndjson"):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> None:
        if self._fault is None:
            logger.error("Decisions can't be recorded, so none is made: %s: %s", self._folder, error.strerror)
        self._fault = str(error.strerror)

    def _recovered(self) -> None:
        if self._fault is not None:
            logger.info("Decisions are recorded and made again")
            self._fault = None

    def _sync_at_intervals(self) -> None:
        while self._unsynced.wait():
            self._unsynced.clear()
            descriptor = self._descriptor
            if descriptor is not None:
                try:
                    os.fsync(descriptor)
                except OSError as error:
                    logger.error("Decisions can't be made durable: %s", error.strerror)
            time.sleep(SYNC_SECONDS)


_NOT_RECORDED = "The decision can't be recorded, so it was not made"


def open_log(settings: Settings) -> Log:
    """The log that the settings ask for."""
    where = settings.decision_log
    if where == "off":
        return NoLog()
    if where == "stdout":
        return StreamLog()
    return FileLog(
        Path(where),
        fsync=settings.decision_log_fsync,
        rotate_bytes=settings.decision_log_rotate_mb * 2**20,
        keep_days=settings.decision_log_keep_days,
    )


def check_log(settings: Settings) -> None:
    """Raise SettingError where the log's folder can't be written to."""
    if settings.decision_log not in ("off", "stdout"):
        try:
            probe_folder(Path(settings.decision_log))
        except OSError as error:
            raise SettingError(
                f"decisions can't be recorded in {settings.decision_log}: {error.strerror}; "
                "name another folder in CREDIT_RISK_DECISION_LOG, or stdout, or off"
            ) from None


def probe_folder(folder: Path) -> None:
    """Raise OSError where nothing can be written into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(PROBE)
    finally:
        probe.unlink(missing_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
