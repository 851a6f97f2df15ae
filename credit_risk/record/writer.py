"""Where records are written: a folder of files, or a stream that somebody else collects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from credit_risk.contract.errors import SettingError
from credit_risk.record.archive import FOLDER, Archive, Basis
from credit_risk.record.files import Fsync, RecordFiles, probe_folder
from credit_risk.record.large import LargeFiles, RecordFolder
from credit_risk.record.seal import Seal
from credit_risk.record.stream import RecordStream

OFF, STDOUT = "off", "stdout"
Place = str | Literal["off", "stdout"]  # otherwise a folder


class RecordWriter(Protocol):
    """Writes records, each of which is one line."""

    async def append(self, lines: Sequence[bytes], basis: Basis | None = None, keys: bytes = b"") -> None:
        """Write all of these lines or none. Raises UnavailableError if that is impossible.

        `basis` is what these decisions were made with. It is archived first, unless it is already.
        `keys` are the lines of the keys that these lines are encrypted with.
        """

    def is_healthy(self) -> bool:
        """Tell whether lines can be written."""

    def close(self) -> None:
        """Make durable what was written, as far as was asked for, and close the file."""


def open_writer(
    place: Place, *, fsync: Fsync, rotate_bytes: int, keep_days: int | None, seal: Seal | None = None
) -> RecordWriter | None:
    """Open the writer for a place: a folder, `stdout`, or `off`, which needs no writer. Nothing is written yet."""
    if place == OFF:
        return None
    if place == STDOUT:
        return RecordStream(seal=seal)
    settings: Any = {"fsync": fsync, "rotate_bytes": rotate_bytes, "keep_days": keep_days, "seal": seal}
    return RecordFolder(RecordFiles(Path(place), **settings), LargeFiles(Path(place), **settings))


def archive_at(place: Place, basis: Basis) -> None:
    """Archive in this folder what decisions will be made with. Raises SettingError if that is impossible."""
    if place in (OFF, STDOUT):
        return
    try:
        Archive(Path(place, FOLDER)).keep(basis)
    except OSError as error:
        raise SettingError(
            f"what decides can't be archived in {Path(place, FOLDER)}: {error.strerror}; put that right, "
            "or name another folder in CREDIT_RISK_DECISION_LOG, or stdout, or off"
        ) from None


def check_place(place: Place) -> None:
    """Raise SettingError if records can't be written to this folder."""
    if place in (OFF, STDOUT):
        return
    try:
        probe_folder(Path(place))
    except OSError as error:
        raise SettingError(
            f"decisions can't be recorded in {place}: {error.strerror}; "
            "name another folder in CREDIT_RISK_DECISION_LOG, or stdout, or off"
        ) from None
