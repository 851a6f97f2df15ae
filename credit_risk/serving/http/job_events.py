"""The progress of a job as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response, StreamingResponse

from credit_risk.contract.errors import RequestError, UnavailableError
from credit_risk.jobs.job import Job
from credit_risk.serving.http.job_document import PATH, document
from credit_risk.serving.jobs import Desk

LOOK_SECONDS = 0.5
MOST = 100  # in a worker
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Listeners:
    """Those who listen to jobs, in one worker."""

    def __init__(self, desk: Desk, is_draining: Callable[[], bool]) -> None:
        self._desk = desk
        self._is_draining = is_draining
        self._count = 0

    def tell(self, job: Job) -> Response:
        """Answer one more of them. Raises UnavailableError if there are too many."""
        if self._count >= MOST:
            raise UnavailableError(f"Too many listen; ask {PATH}/{job.id} instead", 5)
        return StreamingResponse(self._told(job), media_type="text/event-stream", headers=HEADERS)

    async def _told(self, job: Job) -> AsyncIterator[bytes]:
        """Tell of each change of a job, until it has ended or this server drains."""
        self._count += 1
        version = 0
        try:
            while True:
                if job.version != version:
                    version = job.version
                    kind = "end" if job.has_ended else "progress"
                    yield f"id: {version}\nevent: {kind}\ndata: {json.dumps(document(job))}\n\n".encode()
                if job.has_ended or self._is_draining():
                    return
                await asyncio.sleep(LOOK_SECONDS)
                job = await self._look(job)
        except RequestError:  # it is forgotten
            return
        finally:
            self._count -= 1

    async def _look(self, job: Job) -> Job:
        try:
            return await self._desk.find(job.caller, job.id)
        except UnavailableError:
            return job  # the next look may find it
