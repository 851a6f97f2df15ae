"""Jobs as a caller asks for them. They are handed to a queue; workers run them in processes of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING

from credit_risk.contract.conflicts import ConflictError, StorageFullError
from credit_risk.contract.errors import Detail, InvalidRequestError, NotFoundError, TooLargeError
from credit_risk.deciding.terms import CurrentTerms
from credit_risk.jobs.changes import ENQUEUE_AGAIN_SECONDS, NotDueError, cancel
from credit_risk.jobs.files import JobFiles, JobFolder
from credit_risk.jobs.ids import is_id, new_id
from credit_risk.jobs.job import Basis, InputForm, Job, Notification, Source
from credit_risk.jobs.store import JobStore, StoreError, UnknownJobError, change
from credit_risk.serving.idempotency import KeyUse
from credit_risk.serving.job_store import ask, open_queue, open_store
from credit_risk.serving.job_wish import MB, Wish, check_room, check_wish
from credit_risk.serving.settings import Settings

if TYPE_CHECKING:
    from credit_risk.jobs.queue import Queue
    from credit_risk.jobs.sources import Sources
    from credit_risk.record.archive import Basis as Archived

logger = logging.getLogger("bentoml.credit_risk")
ROWS_AT_ONCE = 20_000  # of a chunk: about a second of work
MOST_LISTED = 100
Receive = Callable[[JobFolder], Awaitable[tuple[Source, str]]]  # gives the sha256 of what it is, too


class Desk:
    """Where jobs are handed in, asked after and fetched. Its methods raise RequestError."""

    def __init__(self, settings: Settings, terms: CurrentTerms, release: str) -> None:
        self.files = JobFiles(settings.jobs_folder)
        self._settings = settings
        self._terms = terms
        self._release = release
        self._archived: Archived | None = None

    @cached_property
    def store(self) -> JobStore:
        """Opened when the first job comes: most services never have one."""
        return open_store(self._settings)

    @cached_property
    def _queue(self) -> Queue:
        return open_queue(self._settings)

    @cached_property
    def _sources(self) -> Sources:
        from credit_risk.jobs.sources import Sources  # loads Arrow

        return Sources(self._settings.jobs_sources)

    async def take_file(self, wish: Wish, form: InputForm, content: AsyncIterator[bytes], length: int | None) -> Job:
        """Take a job with the file that it is about. `length` is what the caller says of it, in bytes."""
        return await self._take(wish, lambda folder: self._received(folder, form, content), length or 0)

    async def take_reference(self, wish: Wish, reference: str) -> Job:
        """Take a job whose file is elsewhere."""
        form = await asyncio.to_thread(lambda: self._sources.check(reference))

        async def refer(_: JobFolder) -> tuple[Source, str]:
            return Source(form=form, reference=reference), sha256(reference.encode()).hexdigest()

        return await self._take(wish, refer)

    async def take_application(self, wish: Wish, application: bytes) -> Job:
        """Take a job of one application, in JSON, which is known to be valid."""

        async def write(folder: JobFolder) -> tuple[Source, str]:
            await asyncio.to_thread(_write, folder, application + b"\n")
            size = len(application) + 1
            return Source(form="ndjson", size=size, is_single=True), sha256(application).hexdigest()

        return await self._take(wish, write)

    async def find(self, caller: str | None, job_id: str) -> Job:
        """Find a caller's own job."""
        job = await ask(self.store.get, job_id) if is_id(job_id) else None
        if job is None or job.caller != caller:
            raise NotFoundError
        return job

    async def listed(self, caller: str | None) -> list[Job]:
        """List a caller's newest jobs."""
        return await ask(self.store.of_caller, caller, MOST_LISTED)

    async def give_up(self, caller: str | None, job_id: str) -> Job | None:
        """Cancel a job, or forget it if it has ended. Gives what became of it; None if it is forgotten."""
        job = await self.find(caller, job_id)
        try:
            if not job.has_ended:
                cancelled = await ask(change, self.store, job_id, partial(cancel, now=time.time()))
                await asyncio.to_thread(self.files.of(job_id).remove)  # a worker that still has them open stops
                return cancelled
        except (NotDueError, UnknownJobError):  # it has ended meanwhile
            job = await self.find(caller, job_id)
        if not await ask(self.store.replace, job, None):
            raise ConflictError("The job has just changed; ask again", 1)
        await asyncio.to_thread(self.files.of(job_id).remove)
        return None

    async def _take(self, wish: Wish, receive: Receive, size: int = 0) -> Job:
        await check_wish(wish, size, self.store, self._settings)
        job_id, key = new_id(), wish.idempotency_key
        folder = self.files.of(job_id)
        use = None if key is None else await KeyUse.begin(self.store, wish.caller, key)
        try:
            source, digest = await receive(folder)
            content = [source.form, source.is_single, wish.callback_url, digest]
            fingerprint = sha256(json.dumps(content).encode()).hexdigest()
            made_before = use.made(fingerprint) if use else None
            if made_before is not None:
                folder.remove()
                return await self._made_before(made_before)
            await check_room(wish, source.size, self.store, self._settings)
            job = await self._make(job_id, wish, source)
            await ask(self.store.add, job)
        except BaseException:
            folder.remove()
            if use:
                await use.drop()
            raise
        if use:
            await use.settle(job.id, fingerprint)
        await self._enqueue(job)
        return job

    async def _made_before(self, job_id: str) -> Job:
        job = await ask(self.store.get, job_id)
        if job is None:
            raise ConflictError("The job of this Idempotency-Key is forgotten; send another key")
        return job

    async def _make(self, job_id: str, wish: Wish, source: Source) -> Job:
        now = time.time()
        return Job(
            id=job_id,
            caller=wish.caller,
            created=now,
            source=source,
            basis=await asyncio.to_thread(self._basis),
            rows_at_once=ROWS_AT_ONCE,
            keep_seconds=self._settings.jobs_keep_hours * 3600,
            due=now + ENQUEUE_AGAIN_SECONDS,
            size=source.size,
            notification=Notification(url=wish.callback_url) if wish.callback_url else None,
        )

    def _basis(self) -> Basis:
        """Archive what is in force, and name it."""
        archived = self._terms().renderer.basis
        if archived is not self._archived:
            try:
                self.files.archive.keep(archived)
            except OSError:
                raise StorageFullError from None
            self._archived = archived
        return Basis.of(archived, self._release)

    async def _received(self, folder: JobFolder, form: InputForm, content: AsyncIterator[bytes]) -> tuple[Source, str]:
        """Write a file as it comes."""
        digest, size, most = sha256(), 0, self._settings.jobs_max_mb * MB
        try:
            folder.make()
            with folder.input(form).open("wb") as file:
                async for piece in content:
                    size += len(piece)
                    if size > most:
                        raise TooLargeError(most)
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())  # a job that was accepted survives a power cut
        except OSError:
            raise StorageFullError from None
        if not size:
            detail = Detail(loc=[], msg="send the applications as the body", type="missing")
            raise InvalidRequestError("The body is empty", [detail])
        return Source(form=form, size=size), digest.hexdigest()

    async def _enqueue(self, job: Job) -> None:
        try:
            await asyncio.to_thread(lambda: self._queue.put(job.id))
        except StoreError as error:  # whoever looks after jobs finds it soon
            logger.warning("Job %s is taken, but not in the queue yet: %s", job.id, error)


def _write(folder: JobFolder, line: bytes) -> None:
    try:
        folder.make()
        folder.input("ndjson").write_bytes(line)
    except OSError:
        raise StorageFullError from None
