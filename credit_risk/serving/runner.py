"""The adaptive-batching runner: the seam between requests and the model.

Requests that were read in one turn of the event loop are decided together when the turn ends. Nothing waits for more to
come, so a lone request is a batch of one and loses no time, and batches grow by themselves with the load: while one is
being decided, the next one queues. What finds the queue full, or has waited longer than `max_latency_ms` when its turn
comes, is refused, early and with an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import NamedTuple

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.errors import UnavailableError
from credit_risk.model.reasons import Reasons
from credit_risk.serving.decider import Decider, Origin
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.settings import Batching


class Waiting(NamedTuple):
    """An application in the queue."""

    application: CreditApplication
    origin: Origin
    answer: asyncio.Future[bytes]
    since: float  # perf_counter


class AdaptiveRunner:
    """Decides applications in the worker's own process, on its event loop. To be used on one loop only."""

    def __init__(self, decider: Decider, batching: Batching, metrics: Metrics) -> None:
        self._decider = decider
        self._metrics = metrics
        self._max_rows = batching.max_batch_size if batching.enabled else 1
        self._max_wait = batching.max_latency_ms / 1000
        self._max_queue = batching.max_queue_size
        self._queue: deque[Waiting] = deque()
        self._scheduled = False

    async def run(self, application: CreditApplication, origin: Origin) -> bytes:
        """The decision of one application, as JSON.

        Raises UnavailableError where the service is overloaded, and what the decider raises for this application.
        """
        if len(self._queue) >= self._max_queue:
            self._metrics.shed_full.inc()
            raise UnavailableError("The service is overloaded: its queue is full")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._queue.append(Waiting(application, origin, answer, perf_counter()))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._run_batches)
        return await answer

    async def run_many(self, parts: deque[list[CreditApplication]], origin: Origin) -> list[bytes]:
        """The decisions of many applications, in order; equal ones are scored once. Uses up `parts`.

        Lets the loop turn after each part, so that single requests go on being answered. A thread would hold them up
        more: it would make every turn of the loop wait for the interpreter's lock.
        """
        scored: dict[bytes, tuple[float, Reasons]] = {}
        decisions: list[bytes] = []
        while parts:
            part = parts.popleft()
            decisions += self._decider.decide(part, [origin] * len(part), scored)
            await asyncio.sleep(0)
        return decisions

    def _run_batches(self) -> None:
        """All that queued in this turn of the loop, in batches.

        Deciding a request costs less than reading one. Were the loop to turn between batches, it would read more than
        it decides under overload, and spend itself on refusing the rest.
        """
        self._scheduled = False
        self._metrics.queue_depth = max(self._metrics.queue_depth, len(self._queue))
        while self._queue:
            batch = self._next_batch(perf_counter())
            if batch:
                self._decide(batch)

    def _next_batch(self, now: float) -> list[Waiting]:
        batch: list[Waiting] = []
        while self._queue and len(batch) < self._max_rows:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # cancelled
                continue
            if now - waiting.since > self._max_wait:
                self._metrics.shed_late.inc()
                waiting.answer.set_exception(UnavailableError("The service is overloaded: the request waited too long"))
                continue
            self._metrics.stage_seconds["queue"] += now - waiting.since
            batch.append(waiting)
        return batch

    def _decide(self, batch: list[Waiting]) -> None:
        try:
            decisions = self._decider.decide([w.application for w in batch], [w.origin for w in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, UnavailableError):
                for waiting in batch:
                    waiting.answer.set_exception(error)
            else:  # one by one, so that only the one at fault fails
                for waiting in batch:
                    self._decide([waiting])
            return
        for waiting, decision in zip(batch, decisions, strict=True):
            waiting.answer.set_result(decision)
        self._metrics.batch_rows.append(len(batch))
