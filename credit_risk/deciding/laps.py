"""How long requests wait for each stage, without gaps: a stage ends where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Literal, get_args

Kind = Literal["single", "many"]  # requests for one decision, or for those of many applications
KINDS: tuple[Kind, ...] = get_args(Kind)
# Those of a request, one after the other. What is not one of the endpoints' stages is `read` or `write`.
STAGES = ("read", "keys", "validate", "queue", "look_up", "predict", "decide", "record", "write")
# Takes the name of a stage, the seconds for which so many requests of a kind waited for it, and their number.
Spent = Callable[[str, float, Kind, int], None]


class Laps:
    """A stopwatch that so many requests wait beside: each stage counts for all of them."""

    __slots__ = ("_spent", "begun", "ends", "kind", "last", "request_id", "requests", "trace_id")

    def __init__(self, spent: Spent, kind: Kind, begun: float, requests: int = 1) -> None:
        """`begun` is from `perf_counter`."""
        self._spent, self.kind, self.requests = spent, kind, requests
        self.begun = self.last = begun  # when the last stage ended
        self.ends: list[tuple[str, float]] = []  # of stages, in order; a stage may come again
        self.request_id = self.trace_id = ""  # of a request's own

    def end(self, stage: str) -> None:
        """Count what has passed since the last stage ended."""
        now = perf_counter()
        self._spent(stage, now - self.last, self.kind, self.requests)
        self.ends.append((stage, now))
        self.last = now

    def join(self, batch: Laps) -> None:
        """Go on where a batch is that the request queued for. Its seconds are counted already."""
        self.ends.append(("queue", batch.begun))
        self.ends += batch.ends
        self.last = batch.last

    def stages(self) -> Iterator[tuple[str, float, float]]:
        """Give each stage with its begin and its end."""
        begun = self.begun
        for stage, ended in self.ends:
            yield stage, begun, ended
            begun = ended

    def seconds(self) -> dict[str, float]:
        """Add up the seconds of each stage that there was, in the order in which they first came."""
        found: dict[str, float] = {}
        for stage, begun, ended in self.stages():
            found[stage] = found.get(stage, 0.0) + ended - begun
        return found

    def server_timing(self) -> bytes:
        """Tell the stages so far in milliseconds, as the header of that name has them (W3C Server Timing)."""
        return ", ".join([f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in self.seconds().items()]).encode()


def unobserved() -> Laps:
    """Give a stopwatch that nobody looks at."""
    return Laps(lambda *_: None, "many", 0.0)
