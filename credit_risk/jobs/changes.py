"""How a job changes: queued, running under a lease, ended. No store is needed to know the rules.

Each change makes a new Job, which a store takes in only if nobody else has changed the old one. So a worker that was
paused or cut off can't overwrite what another has done since.
"""

from __future__ import annotations

from credit_risk.contract.errors import CreditRiskError
from credit_risk.jobs.attempt import Attempt
from credit_risk.jobs.job import Job, Lease, Notification, State

MOST_ATTEMPTS = 10  # without a chunk in between
ENQUEUE_AGAIN_SECONDS = 30.0  # for a queued job, because the queue loses the id that a dying worker has just taken
BACKOFF_SECONDS = (1.0, 300.0)  # the shortest and the longest, between attempts after what can pass


class LostLeaseError(CreditRiskError):
    """The job is no longer this worker's: somebody cancelled it, or another worker goes on with it."""


class NotDueError(CreditRiskError):
    """The job can't be claimed now: it is not queued, or has to wait before its next attempt."""


def claim(job: Job, worker: str, now: float, seconds: float) -> Job:
    """Give a queued job to a worker for some seconds. Raises NotDueError."""
    if job.state != "queued" or job.wait_until > now:
        raise NotDueError(f"job {job.id} is not to be run now")
    lease = Lease(worker=worker, token=job.tokens + 1, until=now + seconds)
    return _changed(
        job,
        state="running",
        lease=lease,
        tokens=lease.token,
        attempts=job.attempts + 1,
        started=job.started or now,
        due=lease.until,
    )


def renew(job: Job, lease: Lease, now: float, seconds: float) -> Job:
    """Prolong a lease. Raises LostLeaseError."""
    _check(job, lease)
    return _changed(job, lease=lease.model_copy(update={"until": now + seconds}), due=now + seconds)


def count(job: Job, lease: Lease, rows: int) -> Job:
    """Note how many rows there are."""
    _check(job, lease)
    return _changed(job, rows=rows)


def advance(
    job: Job, lease: Lease, *, chunk: int, done: int, refused: int, decisions: dict[str, int], seconds: float, size: int
) -> Job:
    """Note a chunk, with its seconds and bytes: the next attempt goes on behind it. Raises LostLeaseError.

    A chunk that is noted already changes nothing: the answer of the store may have been lost, and not the change.
    """
    _check(job, lease)
    if job.chunks > chunk:
        return job
    return _changed(
        job,
        chunks=job.chunks + 1,
        attempts=1,
        done=job.done + done,
        refused=job.refused + refused,
        decisions={status: job.decisions[status] + decisions.get(status, 0) for status in job.decisions},
        seconds=job.seconds + seconds,
        size=job.size + size,
    )


def give_back(job: Job, lease: Lease, now: float) -> Job:
    """Queue a job again that its worker can't go on with because it is told to end. Raises LostLeaseError."""
    _check(job, lease)
    return _changed(job, state="queued", lease=None, attempts=job.attempts - 1, due=now + ENQUEUE_AGAIN_SECONDS)


def try_later(job: Job, lease: Lease, now: float, error: str) -> Job:
    """Queue a job again after what can pass, or let it fail if it was tried too often. Raises LostLeaseError."""
    _check(job, lease)
    return _again(job, now, error)


def take_back(job: Job, now: float) -> Job:
    """Queue a job again whose worker has not renewed its lease in time. Raises NotDueError if it has."""
    if job.state != "running" or job.lease is None or job.lease.until > now:
        raise NotDueError(f"the lease of job {job.id} is not over")
    return _again(job, now, "its worker ended unasked, perhaps for want of memory")


def enqueue_again(job: Job, now: float) -> Job:
    """Note that a queued job was put into the queue once more. Raises NotDueError."""
    if job.state != "queued" or job.due > now:
        raise NotDueError(f"job {job.id} is not due")
    return _changed(job, due=now + ENQUEUE_AGAIN_SECONDS)


def end(job: Job, lease: Lease, state: State, now: float, size: int, error: str | None = None) -> Job:
    """End a job under a lease. `size` is what its files take now, in bytes. Raises LostLeaseError."""
    _check(job, lease)
    return _ended(job, state, now, error, size)


def cancel(job: Job, now: float) -> Job:
    """Cancel a job, which then has no files. The decisions of its chunks are made, and stay on record.

    Raises NotDueError if it has ended.
    """
    if job.has_ended:
        raise NotDueError(f"job {job.id} has ended")
    return _ended(job, "cancelled", now, None, 0)


def begin_delivery(job: Job, now: float, seconds: float) -> Job:
    """Keep the notification for whoever sends it, for some seconds. Raises NotDueError if it is not due."""
    notification = job.notification
    if notification is None or notification.due is None or notification.due > now:
        raise NotDueError(f"no notification of job {job.id} is due")
    return _with(job, notification.model_copy(update={"due": now + seconds}))


def note_attempt(job: Job, attempt: Attempt, due: float | None) -> Job:
    """Note an attempt to notify, and when the next one is due."""
    assert job.notification is not None
    attempts = (*job.notification.attempts, attempt)
    return _with(job, job.notification.model_copy(update={"attempts": attempts, "due": due}))


def is_over(job: Job, now: float) -> bool:
    """Tell whether a job is to be forgotten."""
    return job.ended is not None and job.ended + job.keep_seconds <= now


def _with(job: Job, notification: Notification) -> Job:
    assert job.ended is not None
    until = job.ended + job.keep_seconds
    return _changed(job, notification=notification, due=min(until, notification.due or until))


def _again(job: Job, now: float, error: str) -> Job:
    if job.attempts >= MOST_ATTEMPTS:
        return _ended(job, "failed", now, f"{error}; it was tried {job.attempts} times", job.size)
    shortest, longest = BACKOFF_SECONDS
    wait_until = now + min(longest, shortest * 2 ** (job.attempts - 1))
    return _changed(job, state="queued", lease=None, wait_until=wait_until, due=wait_until)


def _ended(job: Job, state: State, now: float, error: str | None, size: int) -> Job:
    ended = _changed(job, state=state, lease=None, ended=now, error=error, size=size, due=now + job.keep_seconds)
    if job.notification is None:
        return ended
    return ended.model_copy(update={"notification": job.notification.model_copy(update={"due": now}), "due": now})


def _check(job: Job, lease: Lease) -> None:
    if job.state != "running" or job.lease is None or job.lease.token != lease.token:
        raise LostLeaseError(f"job {job.id} is no longer this worker's")


def _changed(job: Job, **fields: object) -> Job:
    return job.model_copy(update={"version": job.version + 1, **fields})
