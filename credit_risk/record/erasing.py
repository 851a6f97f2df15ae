"""Erase decisions from an encrypted log, by overwriting their keys in place. The log itself stays as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from credit_risk.contract.errors import DataError
from credit_risk.record.encryption import BLANK, NAME_AT, KeyLine, name_of
from credit_risk.record.keys import FOLDER, key_files_of, lines_of


class KeyAt(NamedTuple):
    """A key, and where it is."""

    path: Path
    offset: int  # of its line, in bytes
    decision_id: bytes


def key_files(logs: Iterable[Path]) -> list[Path]:
    """List the files of keys of logs, each of which is a folder, or one file."""
    return [
        path for log in logs for path in (sorted((log / FOLDER).glob("*.keys")) if log.is_dir() else key_files_of(log))
    ]


def keys_of_reference(paths: Iterable[Path], reference: str) -> list[KeyAt]:
    """Find the keys of a reference that are not erased. Raises DataError if a file can't be read."""
    name = name_of(reference)
    return [found for found, line in _keys_in(paths) if line.name == name]


def keys_of_decision(paths: Iterable[Path], decision_id: str) -> list[KeyAt]:
    """Find the keys of a decision that are not erased. Raises DataError if a file can't be read."""
    return [found for found, line in _keys_in(paths) if line.decision_id == decision_id.encode()]


def erase(keys: Iterable[KeyAt]) -> None:
    """Overwrite keys and the names of their references, durably. Raises DataError if that is impossible.

    A service may go on writing to the same files, because it only appends to them.
    """
    for key in keys:
        try:
            descriptor = os.open(key.path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, BLANK, key.offset + NAME_AT)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:  # it has just been removed, as too old
            continue
        except OSError as error:
            raise DataError(
                f"keys in {key.path} can't be overwritten: {error.strerror}; what was erased so far stays erased: put "
                "that right, and erase again"
            ) from None


def _keys_in(paths: Iterable[Path]) -> Iterator[tuple[KeyAt, KeyLine]]:
    for path in paths:
        offset = 0
        for line in lines_of(path):
            found = KeyLine.parse(line)
            if found is not None and found.key is not None:
                yield KeyAt(path, offset, found.decision_id), found
            offset += len(line)
