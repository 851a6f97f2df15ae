"""The keys of an encrypted log, in files beside it: those of `FILE.ndjson` are in `keys/FILE.*.keys`."""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from glob import escape
from pathlib import Path
from typing import Self
from uuid import uuid4

from credit_risk.contract.errors import DataError
from credit_risk.record.disk import append_whole, sync_folder
from credit_risk.record.encryption import NOBODY, KeyLine, decrypt, id_of

FOLDER = "keys"  # within that of the records


class KeyFile:
    """A file of keys that is written to, beside a file of the log. Its methods raise OSError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @classmethod
    def open_last(cls, log: Path) -> Self:
        """Go on with the last of a file of the log, or make the first, which only one process may do at a time."""
        last = max(key_files_of(log), default=None)
        return cls.create(log) if last is None else cls(last, os.open(last, os.O_WRONLY | os.O_APPEND))

    @classmethod
    def create(cls, log: Path) -> Self:
        """Make a file of keys for a file of the log, which need not be there yet."""
        folder = log.parent / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{log.stem}.{uuid4().hex[:8]}.keys"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            sync_folder(folder)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        return cls(path, descriptor)

    def add(self, lines: bytes) -> None:
        """Write all of the lines or none of them."""
        append_whole(self._descriptor, lines, self._size)
        self._size += len(lines)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def is_gone(self) -> bool:
        """Tell whether somebody has deleted the file, so that nobody could read what it encrypts."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        os.close(self._descriptor)


class Keys:
    """Reads encrypted records with the keys beside their files, and counts those that it can't read."""

    def __init__(self) -> None:
        self.erased = 0
        self.lost: Counter[str] = Counter()  # by the file of the log
        self._file: str | None = None  # whose keys are in memory
        self._keys: dict[bytes, list[bytes]] = {}
        self._erased: set[bytes] = set()

    def opened(self, log: str, line: bytes) -> bytes | None:
        """Decrypt a line of a file of the log. None if its key was erased, or is lost.

        Raises DataError if others may read the keys.
        """
        if log != self._file:
            self._load(log)
        decision_id = id_of(line)
        for key in self._keys.get(decision_id, ()):
            if record := decrypt(line, key):
                return record
        if decision_id in self._erased:
            self.erased += 1
        else:
            self.lost[log] += 1
        return None

    def _load(self, log: str) -> None:
        keys: dict[bytes, list[bytes]] = defaultdict(list)
        erased: set[bytes] = set()
        for path in key_files_of(Path(log)):
            for line in lines_of(path):
                if (found := KeyLine.parse(line)) is None:
                    continue  # torn or garbled, so that its decision is lost
                if found.key is None:
                    erased.add(found.decision_id)
                else:
                    keys[found.decision_id].append(found.key)
        self._file, self._keys, self._erased = log, keys, erased


def said_of_lost(log: str, what: str) -> str:
    """Say that what was encrypted in a file of the log can't be read, and what to do."""
    if log == "-":
        return f"{what} of standard input can't be read without keys: name the files, which have them beside"
    where = Path(log).parent / FOLDER / f"{Path(log).stem}.*.keys"
    return f"{what} of {log}, can't be read, as the key is not in {where}: restore that from a backup"


def name_beside(log: Path, decision_id: str) -> bytes:
    """Give the name of a decision's reference, as a file of the log has it in its keys. Raises DataError."""
    sought = decision_id.encode()
    for path in key_files_of(log):
        for line in lines_of(path):
            if line.startswith(sought) and (found := KeyLine.parse(line)) and found.key:
                return found.name
    return NOBODY


def key_files_of(log: Path) -> list[Path]:
    """List the files of keys of a file of the log."""
    return sorted((log.parent / FOLDER).glob(f"{escape(log.stem)}.*.keys"))


def lines_of(path: Path) -> list[bytes]:
    """Read a file of keys. Raises DataError if that is impossible, or if others may read it."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise DataError(f"others may read the keys {path}; make them yours alone with chmod 600 {path}")
        return path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:  # it has just been removed, as too old
        return []
    except OSError as error:
        raise DataError(f"the keys {path} can't be read: {error.strerror}") from None


def remove_keys(log: Path) -> None:
    """Remove the keys of a file of the log that is gone, or never came to be. Raises OSError."""
    for path in key_files_of(log):
        path.unlink(missing_ok=True)
