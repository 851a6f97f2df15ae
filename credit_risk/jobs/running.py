"""Runs a job: chunk by chunk, from where the last attempt has come to."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from credit_risk.contract.errors import CreditRiskError, DataError, UnavailableError
from credit_risk.deciding.decided import Origin
from credit_risk.jobs.basis import loader
from credit_risk.jobs.changes import LostLeaseError, NotDueError, advance, claim, count, end, give_back, try_later
from credit_risk.jobs.deciding import Engine, Outcome, here
from credit_risk.jobs.files import JobFiles
from credit_risk.jobs.ids import decision_id
from credit_risk.jobs.job import Job, State
from credit_risk.jobs.lease import HeldLease
from credit_risk.jobs.parts import Parts
from credit_risk.jobs.queue import Queue
from credit_risk.jobs.recording import ChunkLog
from credit_risk.jobs.sources import Sources
from credit_risk.jobs.store import JobStore, StoreError, UnknownJobError, change
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.readers import count_rows, read_rows
from credit_risk.portfolio.recording import RecordedAs
from credit_risk.record.archive import Basis as Archived

logger = logging.getLogger("bentoml.credit_risk")


@dataclass(frozen=True)
class Limits:
    """What a job may take."""

    lease_seconds: float
    most_seconds: float  # of work
    most_bytes: int  # of a file of applications


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The worker is told to end."""


class Runner:
    """Runs jobs in this process, one after the other."""

    def __init__(
        self,
        store: JobStore,
        queue: Queue,
        files: JobFiles,
        log: ChunkLog,
        limits: Limits,
        sources: Sources,
        is_stopping: Callable[[], bool],
        engine: Engine = here,
    ) -> None:
        """`is_stopping` is asked after each chunk."""
        self._store, self._queue, self._files, self._limits, self._sources = store, queue, files, limits, sources
        self._is_stopping = is_stopping
        self._engine = engine
        self._log = log
        self._load = loader(files.archive)
        self._worker = f"{socket.gethostname()}/{os.getpid()}"

    def run(self, job_id: str) -> None:
        """Run a job, unless somebody else does or it has ended. Whatever goes wrong with it is noted on it."""
        make = partial(claim, worker=self._worker, now=time.time(), seconds=self._limits.lease_seconds)
        try:
            job = change(self._store, job_id, make)
        except (NotDueError, UnknownJobError):
            return
        except StoreError as error:
            logger.error("Job %s can't be begun now: %s", job_id, error)
            return
        assert job.lease is not None
        with HeldLease(self._store, job_id, job.lease, self._limits.lease_seconds) as lease:
            try:
                self._attempt(job, lease)
            except (LostLeaseError, UnknownJobError):
                logger.info("Job %s was cancelled, or another worker goes on with it", job_id)
                self._clear_up(job_id)
            except StoreError as error:
                logger.error("Job %s waits until its lease is over: %s", job_id, error)

    def _attempt(self, job: Job, lease: HeldLease) -> None:
        try:
            self._work(job, lease)
        except Stopped:
            lease.change(partial(give_back, now=time.time()))
            self._queue.put(job.id)
        except (LostLeaseError, UnknownJobError, StoreError):
            raise
        except UnavailableError as error:
            self._try_later(lease, str(error))
        except CreditRiskError as error:
            self._end(job, lease, "failed", self._named(job, str(error)))
        except OSError as error:
            self._end(job, lease, "failed", f"its files can't be written: {error.strerror}; make room for them")
        except Exception as error:
            kind = type(error)
            where = (kind, Exception(), error.__traceback__)  # its message may hold an applicant's data
            logger.error("%s while running job %s", kind.__name__, job.id, exc_info=where)
            self._try_later(lease, f"the worker failed: {kind.__name__}")

    def _work(self, job: Job, lease: HeldLease) -> None:
        loaded, folder = self._load(job.basis), self._files.of(job.id)
        path = self._sources.file_of(job, folder, self._limits.most_bytes)
        parts = Parts(folder)
        if job.rows is None:
            job = lease.change(partial(count, rows=count_rows(path)))
        recorded_as = RecordedAs(Origin(f"job {job.id}", job.caller), job.basis.release, partial(decision_id, job.id))
        decider = BatchDecider(loaded.model, loaded.policy, loaded.catalogue, recorded_as=recorded_as)
        chunks = islice(read_rows(path, job.rows_at_once, lambda _: None), job.chunks, None)
        begun = time.monotonic()
        for outcome in self._engine(decider, chunks):
            job = self._keep(job, outcome, decider.basis, parts, lease, begun)
            begun = time.monotonic()
            if self._is_stopping():
                raise Stopped
            if job.seconds > self._limits.most_seconds:
                minutes = self._limits.most_seconds / 60
                raise DataError(f"it took longer than {minutes:g} minutes; send fewer rows, or more workers")
        parts.join()
        decided = sum(job.decisions.values())
        if decided:
            self._end(job, lease, "succeeded")
        else:
            fault = "every row is refused; /rejects says why" if job.refused else "it holds no application"
            self._end(job, lease, "failed", fault)

    def _keep(self, job: Job, outcome: Outcome, basis: Archived, parts: Parts, lease: HeldLease, begun: float) -> Job:
        """Put what came of a chunk on record, keep it, and note that the chunk is done."""
        self._log.append(job, job.chunks, outcome.records, basis)
        size = parts.write(job.chunks, outcome.decisions, outcome.rejects)
        decisions = Counter(outcome.decisions["Status"].to_pylist())
        refused = len(outcome.rejects["row"].unique())
        make = partial(
            advance,
            chunk=job.chunks,
            done=decisions.total() + refused,
            refused=refused,
            decisions=decisions,
            seconds=time.monotonic() - begun,
            size=size,
        )
        return lease.change(make, rows=decisions.total() + refused)

    def _end(self, job: Job, lease: HeldLease, state: State, error: str | None = None) -> None:
        folder = self._files.of(job.id)
        if state == "failed":
            with contextlib.suppress(OSError):  # the disk may be full
                Parts(folder).join_rejects()
        lease.change(partial(end, state=state, now=time.time(), size=folder.kept(), error=error))
        folder.remove_input()
        logger.info("Job %s %s", job.id, state)

    def _clear_up(self, job_id: str) -> None:
        """Remove what was written after the job was cancelled, and its files with that."""
        with contextlib.suppress(StoreError):
            job = self._store.get(job_id)
            if job is None or job.state == "cancelled":
                self._files.of(job_id).remove()

    def _try_later(self, lease: HeldLease, error: str) -> None:
        lease.change(partial(try_later, now=time.time(), error=error))

    def _named(self, job: Job, fault: str) -> str:
        """Say what is wrong with the file in the words of whoever sent it."""
        path = self._files.of(job.id).input(job.source.form)
        return fault.replace(str(path), job.source.reference or "the file")
