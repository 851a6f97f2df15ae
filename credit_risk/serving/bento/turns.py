"""How long what is read now may have waited unseen: the event loop's own delay.

A request waits in the buffer of its socket while the event loop is busy with others. Nothing tells for how long, but
it can't have come before the loop last looked. While the loop is idle it looks all the time.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

# An idle loop needs longer than this from its last answer to the next request; a busy one has it waiting already.
# A share of the turn is allowed for, because a slow or throttled processor is slow in between, too.
PAUSE = 30e-6  # seconds
SHARE_OF_TURN = 0.1
LONGEST_PAUSE = 0.1  # seconds; an answer after a longer one was waited for, and is no sign that the loop was busy


class Turns:
    """The turns of a worker's event loop, each of which begins with the first thing that it reads."""

    def __init__(self) -> None:
        self._began = self._worked = 0.0  # perf_counter; the first read of the turn, and the last read or answer
        self._since = 0.0
        self._has_begun = False

    def seen(self) -> float:
        """Give the time (perf_counter) since which something that is read now may have waited."""
        now = perf_counter()
        if not self._has_begun:
            self._has_begun = True
            asyncio.get_running_loop().call_soon(self._end)
            was_idle = now - self._worked > PAUSE + SHARE_OF_TURN * (self._worked - self._began)
            self._since = now if was_idle else self._began
            self._began = now
        self._worked = now
        return self._since

    def answered(self, now: float) -> None:
        """Note that the loop has just answered something."""
        if now - self._worked > LONGEST_PAUSE:
            self._began = now
        self._worked = now

    def _end(self) -> None:
        self._has_begun = False
