"""What Prometheus sees on BentoML's /metrics: added up over all workers, each of which writes files that BentoML reads.

The path of a request only adds to plain numbers and lists, which are handed over together, many times a second. Handed
over one by one they would cost as much as scoring does.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import get_args

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

from credit_risk.contract.decision import Status

FLUSH_SECONDS = 0.025
LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
ROUTES = ("/classify", "/classify_batch")
STATUSES = (
    HTTPStatus.OK,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
STAGES = ("read", "validate", "queue", "predict", "encode", "record")


class Metrics:
    """The service's own figures in one worker."""

    def __init__(self) -> None:
        _forget_dead_workers()
        registry = CollectorRegistry()  # of its own, as the files are what BentoML reads and not the registry
        requests = Counter(
            "credit_risk_requests",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        self._requests = {(r, s): requests.labels(r, int(s)) for r in ROUTES for s in STATUSES}
        seconds = Histogram(
            "credit_risk_request_seconds",
            "From the request's head to its answer, in seconds, by route.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._request_seconds = {route: seconds.labels(route) for route in ROUTES}
        self._batch_rows = Histogram(
            "credit_risk_batch_rows", "Applications decided together.", buckets=ROWS_BUCKETS, registry=registry
        )
        self._queue_depth = Gauge(
            "credit_risk_queue_depth",
            "Applications that queued in a turn of the event loop, the most lately.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        sheds = Counter("credit_risk_sheds", "Requests refused, by reason.", ("reason",), registry=registry)
        self.shed_full, self.shed_late = sheds.labels("queue full"), sheds.labels("waited too long")
        decisions = Counter("credit_risk_decisions", "Decisions, by status.", ("status",), registry=registry)
        self._decisions = {status: decisions.labels(status) for status in get_args(Status)}
        stages = Counter(
            "credit_risk_stage_seconds", "Seconds spent on applications, by stage.", ("stage",), registry=registry
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

        self.stage_seconds = dict.fromkeys(STAGES, 0.0)
        self.statuses: list[Status] = []
        self.batch_rows: list[int] = []
        self.queue_depth = 0
        self._answered: list[tuple[str, HTTPStatus, float]] = []
        self._flush_is_due = False

    def answered(self, route: str, status: HTTPStatus, seconds: float) -> None:
        """A request was answered. Called on the event loop."""
        self._answered.append((route, status, seconds))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hand over what has been added up."""
        self._flush_is_due = False
        for (route, status), count in Tally((route, status) for route, status, _ in self._answered).items():
            self._requests[route, status].inc(count)
        for route in ROUTES:
            _observe(self._request_seconds[route], [seconds for to, _, seconds in self._answered if to == route])
        _observe(self._batch_rows, self.batch_rows)
        for decided, count in Tally(self.statuses).items():
            self._decisions[decided].inc(count)
        for stage, seconds in self.stage_seconds.items():
            self._stages[stage].inc(seconds)
        self._queue_depth.set(self.queue_depth)
        if self.queue_depth:  # and back to 0, unless there is more by then
            self.queue_depth = 0
            self._flush_soon()
        self.stage_seconds = dict.fromkeys(STAGES, 0.0)
        for added_up in (self._answered, self.statuses, self.batch_rows):
            added_up.clear()


def _forget_dead_workers() -> None:
    """Take what workers that are no more had in their queues out of the sum; this one may be their successor."""
    for file in Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).glob("gauge_live*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            mark_process_dead(int(pid))  # type: ignore[no-untyped-call]


def _observe(histogram: Histogram, values: Sequence[float]) -> None:
    """`histogram.observe` for many values, for which prometheus_client has no call of its own."""
    for bucket, count in Tally(bisect_left(histogram._upper_bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)
    histogram._sum.inc(sum(values))
