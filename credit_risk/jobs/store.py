"""The seam to where jobs are kept: SQLite or Redis, one behaviour."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from credit_risk.contract.errors import CreditRiskError
from credit_risk.jobs.job import Job, State

PATIENCE_SECONDS = 0.05  # between attempts to change what others change, too
MOST_TRIES = 100


class StoreError(CreditRiskError):
    """The store does not answer. What was asked for may have been done or not."""


class UnknownJobError(CreditRiskError):
    """There is no such job, or no longer."""


class Usage(NamedTuple):
    """What a caller has."""

    unfinished: int  # jobs
    size: int  # bytes of all files of all jobs


class Figures(NamedTuple):
    """What /metrics shows."""

    jobs: dict[State, int]
    oldest: float | None  # Unix time at which the oldest queued job was made
    totals: dict[str, int]  # rows, delivered, not_delivered: since the store was made


class JobStore(Protocol):
    """Keeps jobs and idempotency keys. Every method raises StoreError if the store does not answer.

    Methods wait for the store; an event loop calls them in threads.
    """

    def add(self, job: Job) -> None:
        """Keep a new job."""

    def get(self, job_id: str) -> Job | None:
        """Find a job."""

    def replace(self, before: Job, after: Job | None, totals: dict[str, int] | None = None) -> bool:
        """Put a job, or nothing, in the place of what it was, and add to the totals. False if it is that no more."""

    def of_caller(self, caller: str | None, most: int) -> list[Job]:
        """List the newest jobs of a caller, the newest first."""

    def due(self, now: float, most: int) -> list[Job]:
        """List jobs that have to be looked at, those longest due first."""

    def usage(self, caller: str | None) -> Usage:
        """Tell what a caller has."""

    def figures(self) -> Figures:
        """Tell how many jobs there are."""

    def claim_key(self, name: str, value: str, seconds: float) -> str | None:
        """Give a name a value for some seconds if it has none, or else answer the value that it has."""

    def set_key(self, name: str, value: str, seconds: float) -> None:
        """Give a name another value."""

    def replace_key(self, name: str, before: str, after: str | None, seconds: float) -> bool:
        """Give a name another value, or none, in the place of what it was. False if it is that no more."""

    def drop_key(self, name: str) -> None:
        """Forget a name."""

    def leave(self) -> None:
        """Close what this thread has opened, because it ends."""


def change(store: JobStore, job_id: str, make: Callable[[Job], Job], totals: dict[str, int] | None = None) -> Job:
    """Change a job, whatever it is by now. `make` may leave it as it is.

    Raises UnknownJobError, StoreError if others change it all the time, and what `make` raises.
    """
    for _ in range(MOST_TRIES):
        before = store.get(job_id)
        if before is None:
            raise UnknownJobError(f"there is no job {job_id}")
        after = make(before)
        if after is before or store.replace(before, after, totals):
            return after
        time.sleep(PATIENCE_SECONDS)
    raise StoreError(f"job {job_id} is changed by others all the time")


@contextmanager
def translating(kind: type[Exception] | tuple[type[Exception], ...], where: str) -> Iterator[None]:
    """Turn a library's errors into StoreError."""
    try:
        yield
    except kind as error:
        raise StoreError(f"{where} does not answer: {type(error).__name__}") from error
