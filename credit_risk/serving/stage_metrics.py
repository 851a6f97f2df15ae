"""How long requests waited for each stage: in all, and how often for how long where a stage can be slow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from credit_risk.deciding.laps import KINDS, STAGES, Kind, Laps
from credit_risk.serving.histograms import observe

# Those that depend on the load, on another machine or on a disk. The others only depend on the processor.
SLOW = ("keys", "queue", "look_up", "predict", "record")
WAIT_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_OF_A_BATCH = frozenset(SLOW) - {"queue"}  # in which each request waits for another time


class _Wait(NamedTuple):
    """Single requests that wait together."""

    stage: str
    seconds: float
    requests: int


class StageMetrics:
    """The stages of one worker's requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        stages = Counter(
            "credit_risk_stage_seconds",
            "Seconds that requests waited for each stage: those for one decision, and those for many.",
            ("stage", "requests"),
            registry=registry,
        )
        waits = Histogram(
            "credit_risk_wait_seconds",
            "Seconds that a request waited for a stage that can be slow.",
            ("stage", "requests"),
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._totals = {each: stages.labels(*each) for each in product(STAGES, KINDS)}
        self._histograms = {each: waits.labels(*each) for each in product(SLOW, KINDS)}
        self._seconds = dict.fromkeys(self._totals, 0.0)
        self._waits: list[_Wait] = []
        self._queued: list[float] = []
        self._many: list[dict[str, float]] = []

    def spent(self, stage: str, seconds: float, kind: Kind = "single", requests: int = 1) -> None:
        """Count the seconds for which so many requests of a kind waited for a stage."""
        self._seconds[stage, kind] += seconds * requests
        if stage in _OF_A_BATCH and kind == "single":
            self._waits.append(_Wait(stage, seconds, requests))

    def queued(self, seconds: Sequence[float]) -> None:
        """Count how long single requests queued, one by one."""
        self._seconds["queue", "single"] += sum(seconds)
        self._queued += seconds

    def answered(self, laps: Laps) -> None:
        """Count how long a request for many decisions waited for each stage in all. Its seconds are counted already."""
        self._many.append(laps.seconds())

    def flush(self) -> None:
        """Hand over what has been added up."""
        for each, seconds in self._seconds.items():
            self._totals[each].inc(seconds)
            self._seconds[each] = 0.0
        observe(self._histograms["queue", "single"], self._queued)
        for stage in _OF_A_BATCH:
            waits = [wait for wait in self._waits if wait.stage == stage]
            observe(self._histograms[stage, "single"], [w.seconds for w in waits], [w.requests for w in waits])
        for stage in SLOW:
            observe(self._histograms[stage, "many"], [found[stage] for found in self._many if stage in found])
        for added_up in (self._waits, self._queued, self._many):
            added_up.clear()
