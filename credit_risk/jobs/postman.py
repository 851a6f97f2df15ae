"""Notifies of jobs that have ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from credit_risk.jobs.addresses import Places
from credit_risk.jobs.attempt import Attempt, next_attempt
from credit_risk.jobs.changes import NotDueError, begin_delivery, note_attempt
from credit_risk.jobs.job import Job
from credit_risk.jobs.signature import Secret
from credit_risk.jobs.store import JobStore, StoreError, UnknownJobError, change
from credit_risk.jobs.webhooks import TIMEOUT, message, send

logger = logging.getLogger("bentoml.credit_risk")
MOST = 20  # at a time
SECRET_IS_GONE = "No secret of a webhook is set for this caller any more"


class Postman:
    """May run in several processes at a time. What dies while it sends is sent again, with the same id."""

    def __init__(
        self,
        store: JobStore,
        secret_of: Callable[[str | None], Secret | None],
        told: Callable[[Job], dict[str, Any]],
        allowed: Places,
    ) -> None:
        """`secret_of` gives the secret of a caller; `told` gives what the message says of a job."""
        self._store, self._secret_of, self._told, self._allowed = store, secret_of, told, allowed

    async def deliver(self, now: float) -> None:
        """Make every attempt that is due. Raises StoreError."""
        due = [job for job in await asyncio.to_thread(self._store.due, now, MOST) if job.has_ended]
        await asyncio.gather(*(self._deliver(job, now) for job in due))

    async def _deliver(self, job: Job, now: float) -> None:
        try:
            begin = partial(begin_delivery, now=now, seconds=2 * TIMEOUT)
            job = await asyncio.to_thread(change, self._store, job.id, begin)
        except (NotDueError, UnknownJobError):
            return
        assert job.notification is not None
        assert job.ended is not None
        secret = self._secret_of(job.caller)
        if secret is None:
            attempt = Attempt(time=now, seconds=0, fault=SECRET_IS_GONE, final=True)
        else:
            body = message(f"job.{job.state}", job.ended, self._told(job))
            attempt = await send(job.notification.url, secret, f"msg_{job.id}", body, self._allowed)
        if attempt.fault is not None:
            logger.warning("Job %s: its notification failed: %s", job.id, attempt.fault)
        due = next_attempt([*job.notification.attempts, attempt])
        totals = {"not_delivered" if attempt.fault else "delivered": 1}
        note = partial(note_attempt, attempt=attempt, due=due)
        await asyncio.to_thread(change, self._store, job.id, note, totals)


async def deliver_for_ever(postman: Postman, seconds: float) -> None:
    """Look for what is due every so many seconds. What does not answer now may do so next time."""
    while True:
        try:
            await postman.deliver(time.time())
        except (StoreError, UnknownJobError) as error:
            logger.warning("Notifications can't be sent now: %s", error)
        except Exception as error:  # those of other jobs still have to be sent
            logger.error("%s while notifying", type(error).__name__)
        await asyncio.sleep(seconds)
