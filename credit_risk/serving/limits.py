"""How much a caller may ask for, counted over all workers: requests a second, and batches at a time.

The workers share a file. A request's count is a number in it, changed under a lock of its own. A batch is nothing but
such a lock: the system gives it back when the worker that holds it ends, however it ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import Structure, c_double, c_uint64, sizeof
from hashlib import sha256
from typing import NamedTuple

from credit_risk.contract.errors import LimitedError
from credit_risk.serving.keys import MOST_BATCHES

ROWS = 4096  # callers; more of them share rows
LOCKS = 2**40  # where locks begin: far behind the content, which they have nothing to do with
LOCKS_OF_A_ROW = MOST_BATCHES + 1  # one for its count
WINDOW = 1.0  # seconds; a caller may send what it may send in that time at once


class _Row(Structure):
    _fields_ = (("caller", c_uint64), ("due", c_double))


SIZE = sizeof(_Row) * ROWS  # bytes


class Quota(NamedTuple):
    """What is left of a limit."""

    limit: int  # requests a second
    left: int  # that may be sent now


class Limits:
    """The counts of all callers. `descriptor` is a file that holds SIZE bytes of them from `offset`, 0 at first."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._rows = (_Row * ROWS).from_buffer(mmap.mmap(descriptor, SIZE + offset), offset)
        self._places: dict[str, int] = {}
        self._batches: dict[str, set[int]] = {}  # that this worker holds

    def take(self, caller: str, per_second: int, now: float) -> Quota:
        """Count a request at this time (`time.monotonic`). Raises LimitedError if it is one too many.

        This is the generic cell rate algorithm (ITU-T I.371): what was taken is paid back at `per_second`.
        """
        row = self._rows[self._place_of(caller)]
        cost = WINDOW / per_second
        with self._locked(self._place_of(caller) * LOCKS_OF_A_ROW):
            due = max(row.due, now) + cost
            too_soon = due - now - WINDOW
            if too_soon > 1e-9:
                raise LimitedError(f"Send at most {per_second} requests a second", too_soon)
            row.due = due
        return Quota(per_second, int((now + WINDOW - due) / cost + 1e-6))

    @contextmanager
    def batch(self, caller: str, most: int) -> Iterator[None]:
        """Count a batch as long as it is under way. Raises LimitedError if it is one too many."""
        held = self._batches.setdefault(caller, set())
        place = self._place_of(caller) * LOCKS_OF_A_ROW
        slot = next((s for s in range(1, most + 1) if s not in held and self._try_lock(place + s)), None)
        if slot is None:
            raise LimitedError(f"Send at most {most} batches at a time", 1.0)
        held.add(slot)
        try:
            yield
        finally:
            held.discard(slot)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, LOCKS + place + slot)

    def _place_of(self, caller: str) -> int:
        """Find the row of a caller, or take the next free one for it."""
        if caller not in self._places:
            name = int.from_bytes(sha256(caller.encode()).digest()[:8]) or 1
            with self._locked(ROWS * LOCKS_OF_A_ROW):
                place = name % ROWS
                for _ in range(ROWS):
                    if self._rows[place].caller in (0, name):
                        self._rows[place].caller = name
                        break
                    place = (place + 1) % ROWS
            self._places[caller] = place
        return self._places[caller]

    @contextmanager
    def _locked(self, place: int) -> Iterator[None]:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, LOCKS + place)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, LOCKS + place)

    def _try_lock(self, place: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, LOCKS + place)
        except OSError:
            return False
        return True


def nameless_file(size: int) -> int:
    """Make a file of so many zeros, without a name, and give its descriptor. It goes when nobody has it open."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor
