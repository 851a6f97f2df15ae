"""How many requests a worker has under way at most, so that each of them is answered in time.

Under overload, requests that wait in turn all become late together, and a service that works on late requests gets
nothing done. So a worker takes on no more than it can answer within a part of `max_latency_ms`, and refuses the rest at
once. How many that are follows from its rate: L = rate * time (Little, 1961).
"""

from __future__ import annotations

from time import perf_counter

WINDOW = 0.1  # seconds between two looks
AIM = 0.6  # share of `max_latency_ms` that requests should take; the rest is for what is not foreseen
FORGET = 0.9  # what an earlier rate counts for in the next window: a short pause is no slowness
LEAST = 16  # requests, so that batches can form


class ConcurrencyLimit:
    """The limit of one worker. There is none as long as requests are answered in time."""

    def __init__(self, most: int, max_latency: float) -> None:
        """`most` bounds the limit; `max_latency` is in seconds."""
        self.limit = self._most = most
        self._aim = AIM * max_latency
        self._under_way = 0
        self._rate = 0.0  # answers a second
        self._since = perf_counter()
        self._answers = 0
        self._slowest = 0.0  # seconds
        self._has_refused = False

    def is_reached(self) -> bool:
        """Tell whether a request must be refused."""
        if self._under_way < self.limit:
            return False
        self._has_refused = True
        return True

    def begun(self) -> None:
        """Note that a request is under way."""
        self._under_way += 1

    def ended(self, seconds: float, now: float, *, is_refused: bool = False) -> None:
        """Note that a request is under way no more, so long after it had come."""
        self._under_way -= 1
        self._answers += not is_refused
        self._slowest = max(self._slowest, seconds)
        if now - self._since > WINDOW:
            self._adjust(now)

    def _adjust(self, now: float) -> None:
        self._rate = max(self._answers / (now - self._since), FORGET * self._rate)
        is_overloaded = self._slowest > self._aim or self._has_refused
        in_time = max(LEAST, int(self._rate * self._aim))
        self.limit = min(self._most, in_time) if is_overloaded else self._most
        self._since, self._answers, self._slowest, self._has_refused = now, 0, 0.0, False
