"""How long what is read now may have waited unseen: the event loop's own delay.

A request waits in the buffer of its socket while the event loop is busy with others. Nothing tells for how long, but
it can't have come before the loop last looked. While the loop is idle it looks all the time.
"""

from __future__ import annotations

import asyncio
from time import perf_counter


class Turns:
    """The turns of a worker's event loop. They are followed only while there is something to do."""

    def __init__(self) -> None:
        self._began = self._began_before = 0.0  # this turn, and the one before it
        self._is_followed = False
        self._was_busy = False

    def seen(self) -> float:
        """Give the time (perf_counter) since which something that the loop sees now may have waited."""
        self._was_busy = True
        if not self._is_followed:
            self._is_followed = True
            self._began = self._began_before = perf_counter()
            asyncio.get_running_loop().call_soon(self._next)
        return self._began_before

    def _next(self) -> None:
        self._began_before, self._began = self._began, perf_counter()
        self._is_followed = self._was_busy
        if self._was_busy:
            self._was_busy = False
            asyncio.get_running_loop().call_soon(self._next)
