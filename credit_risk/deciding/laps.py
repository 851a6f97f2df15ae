"""How long requests wait for each stage, without gaps: a stage ends where the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Literal, get_args

Kind = Literal["single", "many"]  # requests for one decision, or for those of many applications
KINDS: tuple[Kind, ...] = get_args(Kind)
# Those of a request, one after the other. What is not one of the endpoints' stages is `read` or `write`.
STAGES = ("read", "keys", "validate", "queue", "look_up", "predict", "decide", "record", "write")
Spent = Callable[[str, float, Kind], None]  # takes the name of a stage and the seconds that requests spent in it


class Laps:
    """A stopwatch that so many requests wait beside: each stage counts for all of them."""

    __slots__ = ("_kind", "_spent", "begun", "ends", "last", "requests")

    def __init__(self, spent: Spent, kind: Kind, begun: float, requests: int = 1) -> None:
        """`begun` is from `perf_counter`."""
        self._spent, self._kind, self.requests = spent, kind, requests
        self.begun = self.last = begun  # when the last stage ended
        self.ends: list[tuple[str, float]] = []  # of stages, in order; a stage may come again

    def end(self, stage: str) -> None:
        """Count what has passed since the last stage ended."""
        now = perf_counter()
        self._spent(stage, (now - self.last) * self.requests, self._kind)
        self.ends.append((stage, now))
        self.last = now

    def join(self, batch: Laps) -> None:
        """Go on where a batch is that the request queued for. Its seconds are counted already."""
        self.ends.append(("queue", batch.begun))
        self.ends += batch.ends
        self.last = batch.last


def unobserved() -> Laps:
    """Give a stopwatch that nobody looks at."""
    return Laps(lambda *_: None, "many", 0.0)
