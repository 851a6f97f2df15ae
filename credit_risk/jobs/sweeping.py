"""Looks after jobs that nobody works on: queues them again, notifies of those that have ended, forgets old ones."""

from __future__ import annotations

import logging
import time
from functools import partial

from credit_risk.jobs.changes import NotDueError, enqueue_again, is_over, take_back
from credit_risk.jobs.files import JobFiles
from credit_risk.jobs.job import Job
from credit_risk.jobs.queue import Queue
from credit_risk.jobs.store import JobStore, StoreError, UnknownJobError, change

logger = logging.getLogger("bentoml.credit_risk")
MOST = 100  # jobs in one go


class Sweeper:
    """May run in several processes at a time: what one has done, the others find done."""

    def __init__(self, store: JobStore, queue: Queue, files: JobFiles) -> None:
        self._store, self._queue, self._files = store, queue, files

    def sweep(self, now: float) -> None:
        """Look after all jobs that are due. Raises StoreError."""
        for job in self._store.due(now, MOST):
            try:
                self._look_after(job, now)
            except (NotDueError, UnknownJobError):
                continue

    def _look_after(self, job: Job, now: float) -> None:
        if job.state == "queued":
            change(self._store, job.id, partial(enqueue_again, now=now))
            self._queue.put(job.id)
        elif job.state == "running":
            change(self._store, job.id, partial(take_back, now=now))
            logger.warning("Job %s is queued again: its worker does not answer", job.id)
        elif is_over(job, now) and self._store.replace(job, None):
            self._files.of(job.id).remove()


def sweep_quietly(sweeper: Sweeper) -> None:
    """Sweep once. What does not answer now may do so next time."""
    try:
        sweeper.sweep(time.time())
    except StoreError as error:
        logger.warning("Jobs can't be looked after now: %s", error)
