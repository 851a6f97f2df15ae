"""The service's own metrics, as Prometheus sees them on /metrics: summed over all workers.

Each worker writes files that BentoML reads. The path of a request only adds to plain numbers and lists, which are
handed over together many times a second; handing them over one by one would cost as much as scoring does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter as Tally
from collections.abc import Container, Sequence
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import mark_process_dead

from credit_risk.contract.decision import STATUSES, Status
from credit_risk.contract.refusals import QUEUE_FULL, TOO_BUSY, WAITED_TOO_LONG
from credit_risk.deciding.decided import Decided
from credit_risk.deciding.laps import Laps
from credit_risk.serving.histograms import check_histogram, observe
from credit_risk.serving.routes import ROUTES, SINGLE, route_of
from credit_risk.serving.stage_metrics import StageMetrics

FLUSH_SECONDS = 0.025
LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SHEDS = {QUEUE_FULL: "queue full", WAITED_TOO_LONG: "waited too long", TOO_BUSY: "too many under way"}
ANSWERS = (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
IN_USE_SINCE = "credit_risk_in_use_since_seconds"
IN_USE_SINCE_HELP = "Unix time since when the service decides with this model, policy, catalogue and version."


class Metrics:
    """The metrics of one worker."""

    def __init__(self, paths: Container[str] = ()) -> None:
        """`paths` are those that are counted by their names."""
        self._paths = paths
        _forget_dead_workers()
        registry = CollectorRegistry()  # its own, because BentoML reads the files and not the registry
        self._requests = Counter(
            "credit_risk_requests",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        for route, status in product(ROUTES, ANSWERS):  # so that their rates begin at 0
            self._requests.labels(route, int(status))
        seconds = Histogram(
            "credit_risk_request_seconds",
            "Seconds from when a request had come whole to its answer, by route.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._request_seconds = {route: seconds.labels(route) for route in ROUTES}
        self._batch_rows = Histogram(
            "credit_risk_batch_rows", "Applications decided together.", buckets=ROWS_BUCKETS, registry=registry
        )
        check_histogram(self._batch_rows)
        self._queue_depth = Gauge(
            "credit_risk_queue_depth",
            "The most applications that lately queued in one turn of the event loop.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._queue_limit = Gauge(
            "credit_risk_queue_limit",
            "The most applications that may queue.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        sheds = Counter(
            "credit_risk_sheds", "Requests refused for overload, by reason.", ("reason",), registry=registry
        )
        self._sheds = {reason: sheds.labels(label) for reason, label in SHEDS.items()}
        decisions = Counter("credit_risk_decisions", "Decisions, by status.", ("status",), registry=registry)
        self._decisions = {status: decisions.labels(status) for status in STATUSES}
        self._stages = StageMetrics(registry)
        self.spent = self._stages.spent

        self._shed: list[str] = []
        self._statuses: list[Status] = []
        self._rows: list[int] = []
        self._queued = 0
        self._answered: list[tuple[str, int, float]] = []
        self._flush_is_due = False

    def in_use(self, *, model: str, policy: str, catalogue: str, version: str) -> None:
        """Tell what this worker decides with from now on, in place of what it told before.

        A gauge of prometheus_client can't give up a series while several processes write files. So these series have a
        file of their own, which is replaced: no other gauge has the mode `livemin`. Workers that decide with the same
        give one series, with the time of the first.
        """
        labels = {"model": model, "policy": policy, "catalogue": catalogue, "version": version}
        file = _folder() / f"gauge_livemin_{os.getpid()}.db"
        begun = file.with_suffix(".new")
        content: Any = MmapedDict(str(begun))  # type: ignore[no-untyped-call]
        content.write_value(
            mmap_key(IN_USE_SINCE, IN_USE_SINCE, list(labels), list(labels.values()), IN_USE_SINCE_HELP),
            time.time(),
            0.0,
        )
        content.close()
        begun.replace(file)

    def queued_for(self, seconds: Sequence[float]) -> None:
        """Count how long single requests queued, one by one."""
        self._stages.queued(seconds)

    def queued(self, applications: int) -> None:
        """Note how many applications were found waiting."""
        self._queued = max(self._queued, applications)

    def limit_queue(self, applications: int) -> None:
        """Note how many applications may wait in this worker."""
        self._queue_limit.set(applications)

    def batched(self, rows: int) -> None:
        """Count a batch of so many applications."""
        self._rows.append(rows)

    def decided(self, decisions: Sequence[Decided]) -> None:
        """Count decisions by their status."""
        self._statuses += [decided.status for decided in decisions]

    def shed(self, reason: str) -> None:
        """Count a request that is refused for overload; `reason` is what its caller is told."""
        self._shed.append(reason)

    def answered(self, path: str, status: int, seconds: float, laps: Laps | None = None) -> None:
        """Count an answered request. Its seconds are those of its stages, or else it never reached an endpoint.

        To be called on the event loop.
        """
        self._answered.append((path, status, seconds))
        if laps is None:
            if path in self._request_seconds:
                self.spent("read", seconds, "single" if path == SINGLE else "many")
        elif laps.kind == "many":
            self._stages.answered(laps)
        self._flush_soon()

    def flush(self) -> None:
        """Hand over what has been added up."""
        self._flush_is_due = False
        for (route, status), count in Tally(
            (route_of(path, self._paths), status) for path, status, _ in self._answered
        ).items():
            self._requests.labels(route, status).inc(count)
        for route in ROUTES:
            observe(self._request_seconds[route], [seconds for to, _, seconds in self._answered if to == route])
        observe(self._batch_rows, self._rows)
        for reason, count in Tally(self._shed).items():
            self._sheds[reason].inc(count)
        for decided, count in Tally(self._statuses).items():
            self._decisions[decided].inc(count)
        self._stages.flush()
        self._queue_depth.set(self._queued)
        if self._queued:  # go back to 0, unless more have queued by then
            self._queued = 0
            self._flush_soon()
        for added_up in (self._answered, self._statuses, self._rows, self._shed):
            added_up.clear()

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)


def _forget_dead_workers() -> None:
    """Take what dead workers had in their queues out of the sum. This worker may be the successor of one."""
    for file in _folder().glob("gauge_live*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            mark_process_dead(int(pid))  # type: ignore[no-untyped-call]


def _folder() -> Path:
    """Where the workers of this server have the files of their metrics."""
    return Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
