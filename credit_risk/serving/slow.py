"""A line in the log for each slow request, with where its time went. It holds nothing of an applicant."""

from __future__ import annotations

import logging
import math
from time import perf_counter

from credit_risk.deciding.laps import Laps

logger = logging.getLogger("credit_risk")
MOST_LINES = 10  # a second; under overload every request is slow


class SlowLog:
    """That of one worker."""

    def __init__(self, slow_ms: int | None) -> None:
        """Without a bound nothing is slow."""
        self.seconds = math.inf if slow_ms is None else slow_ms / 1000
        self._second = 0  # of the last line, by perf_counter
        self._lines = 0  # in that second
        self._left_out = 0

    def note(self, path: str, status: int, seconds: float, laps: Laps) -> None:
        """Log an answered request that took so long."""
        second = int(perf_counter())
        if second != self._second:
            if self._left_out:
                logger.warning("%d more slow requests were not logged", self._left_out)
            self._second, self._lines, self._left_out = second, 0, 0
        if self._lines >= MOST_LINES:
            self._left_out += 1
            return
        self._lines += 1
        stages = {stage: round(spent * 1000, 3) for stage, spent in laps.seconds().items()}
        told = {"request_id": laps.request_id, "path": path, "status": int(status), "ms": round(seconds * 1000, 3)}
        trace = {"trace_id": laps.trace_id} if laps.trace_id else {}
        logger.warning(
            "Slow request %s: %s answered %d after %.1f ms: %s",
            laps.request_id,
            path,
            status,
            seconds * 1000,
            ", ".join(f"{stage} {spent:.1f}" for stage, spent in stages.items()),
            extra=told | {"stages_ms": stages} | trace,
        )
