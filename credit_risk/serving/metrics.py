"""What Prometheus sees on BentoML's /metrics: summed over all workers, as each writes to the files that BentoML reads.

Labels are bound here once; the path of a request looks none up. Seconds by stage are added up as plain numbers and
handed over once a batch.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from credit_risk.contract.decision import Status

LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The service's own figures."""

    def __init__(self) -> None:
        registry = CollectorRegistry()  # of its own, as the files are what BentoML reads and not the registry
        requests = Counter(
            "credit_risk_requests",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        self.requests = {
            (route, status): requests.labels(route, int(status))
            for route in ("/classify", "/classify_batch")
            for status in (
                HTTPStatus.OK,
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                HTTPStatus.SERVICE_UNAVAILABLE,
            )
        }
        seconds = Histogram(
            "credit_risk_request_seconds",
            "From the request's head to its answer, in seconds, by route.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.request_seconds = {route: seconds.labels(route) for route in ("/classify", "/classify_batch")}
        self.batch_rows = Histogram(
            "credit_risk_batch_rows", "Applications decided together.", buckets=ROWS_BUCKETS, registry=registry
        )
        self.queue_depth = Gauge(
            "credit_risk_queue_depth",
            "Applications that queued in a turn of the event loop.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        sheds = Counter(
            "credit_risk_sheds", "Requests refused under overload, by reason.", ("reason",), registry=registry
        )
        self.shed_full, self.shed_late = sheds.labels("queue full"), sheds.labels("waited too long")
        decisions = Counter("credit_risk_decisions", "Decisions, by status.", ("status",), registry=registry)
        self._decisions = {status: decisions.labels(status) for status in get_args(Status)}
        stages = Counter(
            "credit_risk_stage_seconds",
            "Seconds spent on single applications, by stage.",
            ("stage",),
            registry=registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in ("read", "validate", "queue", "predict", "encode")}
        self.read_seconds = self.validate_seconds = self.queue_seconds = 0.0

    def decided(self, statuses: list[Status], predict_seconds: float, encode_seconds: float) -> None:
        """A batch was decided; hands over what the requests before it have added up."""
        for status, counter in self._decisions.items():
            if count := statuses.count(status):
                counter.inc(count)
        self._stages["read"].inc(self.read_seconds)
        self._stages["validate"].inc(self.validate_seconds)
        self._stages["queue"].inc(self.queue_seconds)
        self._stages["predict"].inc(predict_seconds)
        self._stages["encode"].inc(encode_seconds)
        self.read_seconds = self.validate_seconds = self.queue_seconds = 0.0
