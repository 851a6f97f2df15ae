"""Keeps a lease while its job is worked on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from credit_risk.jobs.changes import LostLeaseError, renew
from credit_risk.jobs.job import Job, Lease
from credit_risk.jobs.store import JobStore, StoreError, UnknownJobError, change

logger = logging.getLogger("bentoml.credit_risk")
RENEWALS = 3  # while a lease lasts
PAUSE_SECONDS = 0.2  # between attempts to reach a store that does not answer


class HeldLease(AbstractContextManager["HeldLease"]):
    """Renews a lease in a thread, until it is left or lost."""

    def __init__(self, store: JobStore, job_id: str, lease: Lease, seconds: float) -> None:
        self._store, self._job_id, self._lease, self._seconds = store, job_id, lease, seconds
        self._until = lease.until
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> HeldLease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def change(self, make: Callable[[Job, Lease], Job], rows: int = 0) -> Job:
        """Change the job under this lease. Tries again as long as the store does not answer and the lease lasts.

        Raises LostLeaseError, UnknownJobError or StoreError.
        """
        while True:
            try:
                return change(self._store, self._job_id, lambda job: make(job, self._lease), {"rows": rows})
            except StoreError:
                if time.time() > self._until:
                    raise
                time.sleep(PAUSE_SECONDS)

    def _renew(self) -> None:
        try:
            self._renew_until_over()
        finally:
            self._store.leave()

    def _renew_until_over(self) -> None:
        while not self._is_over.wait(self._seconds / RENEWALS):
            now = time.time()
            try:
                change(self._store, self._job_id, partial(renew, lease=self._lease, now=now, seconds=self._seconds))
                self._until = now + self._seconds
            except StoreError as error:
                logger.warning("A lease can't be renewed now: %s", error)
            except (LostLeaseError, UnknownJobError):
                return  # the next change says so
