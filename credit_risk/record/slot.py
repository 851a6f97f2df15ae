"""The slots of those who write a sealed log: one process at a time holds a slot, and goes on with its chain."""

from __future__ import annotations

import fcntl
import os
from itertools import count
from pathlib import Path

from credit_risk.record.chain import Tip, tip_after
from credit_risk.record.seal import FOLDER


class Slot:
    """A slot that this process holds. The system gives it back when the process ends, however that happens."""

    def __init__(self, folder: Path, number: int, descriptor: int) -> None:
        self.name = f"w{number}"
        self._folder = folder
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> Slot:
        """Take the first slot of a folder of records that nobody holds. Raises OSError."""
        seal = folder / FOLDER
        seal.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            descriptor = os.open(seal / f"w{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            else:
                return cls(folder, number, descriptor)
        raise AssertionError  # it counts for ever

    @property
    def is_gone(self) -> bool:
        """Whether somebody has deleted the folder of the seal, so that another process may hold the same slot."""
        return os.fstat(self._descriptor).st_nlink == 0

    def tip(self) -> Tip:
        """Find how far the chain of this slot has come on disk. A new chain begins if there is none. Raises OSError."""
        return tip_after(self._folder.glob(f"decisions-*-{self.name}.ndjson"))

    def give_back(self) -> None:
        os.close(self._descriptor)
