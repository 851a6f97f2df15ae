"""Metrics of jobs. They are what the store tells, so every worker shows the same."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from credit_risk.jobs.job import STATES
from credit_risk.jobs.store import Figures, JobStore, StoreError
from credit_risk.serving.job_store import OFF, SQLITE, open_store
from credit_risk.serving.routes import JOB, JOBS
from credit_risk.serving.settings import Settings

logger = logging.getLogger("bentoml.credit_risk")
LOOK_SECONDS = 5.0
OUTCOMES = ("delivered", "not_delivered")
NONE = Figures(dict.fromkeys(STATES, 0), None, {})


def watch_jobs(settings: Settings) -> frozenset[str]:
    """Show jobs on /metrics from now on, if they are on. Gives the routes that are theirs."""
    if settings.jobs == OFF:
        return frozenset()
    JobMetrics(settings).watch()
    return frozenset({JOBS, JOB})


class JobMetrics:
    """Shows on /metrics what there is to do and what was done."""

    def __init__(self, settings: Settings, registry: CollectorRegistry | None = None) -> None:
        """`registry` is one of its own if none is given, because BentoML reads the files and not the registry."""
        self._settings = settings
        self._store: JobStore | None = None
        self._is_down = False
        self._registry = registry or CollectorRegistry()
        jobs = self._gauge("jobs", "Jobs that are kept, by state.", "state")
        self._jobs = {state: jobs.labels(state) for state in STATES}
        self._oldest = self._gauge("job_oldest_seconds", "Age of the oldest job that is queued.")
        self._rows = self._gauge("job_rows", "Rows of jobs that were decided or refused, since the store was made.")
        deliveries = self._gauge("job_deliveries", "Attempts to notify, by how they ended, likewise.", "outcome")
        self._deliveries = {outcome: deliveries.labels(outcome) for outcome in OUTCOMES}
        self._is_up = self._gauge("job_store_up", "1 if the store of jobs answers, else 0.")

    def watch(self) -> None:
        """Look every few seconds as long as this process lives."""
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self) -> None:
        """Ask the store and show what it tells. If it does not answer, what it told before remains."""
        try:
            figures = self._figures()
        except StoreError as error:
            if not self._is_down:
                logger.warning("Metrics of jobs stay as they are: %s", error)
            self._is_down = True
            self._is_up.set(0)
            return
        self._is_down = False
        self._is_up.set(1)
        for state, gauge in self._jobs.items():
            gauge.set(figures.jobs[state])
        self._oldest.set(max(0.0, time.time() - figures.oldest) if figures.oldest is not None else 0)
        self._rows.set(figures.totals.get("rows", 0))
        for outcome, gauge in self._deliveries.items():
            gauge.set(figures.totals.get(outcome, 0))

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def _figures(self) -> Figures:
        if self._store is None:
            place = self._settings.jobs
            if place.startswith(SQLITE) and not Path(place.removeprefix(SQLITE)).exists():
                return NONE  # no job was ever taken; opening the store would make its file
            self._store = open_store(self._settings)
        return self._store.figures()

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"credit_risk_{name}", what, labels, multiprocess_mode="mostrecent", registry=self._registry)
