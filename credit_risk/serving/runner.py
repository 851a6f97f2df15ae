"""The adaptive-batching runner: it gathers applications into batches and hands the decisions back.

Requests that were read in one turn of the event loop are decided together when the turn ends. Nothing waits for more to
come, so a lone request is a batch of one and loses no time, and batches grow with the load: while one is being decided,
the next one queues. A request that finds the queue full, or has waited longer than `max_latency_ms` when its turn
comes, is refused, early and with an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from time import perf_counter
from typing import NamedTuple

from credit_risk.contract.customer import Asked, Part
from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import QUEUE_FULL, WAITED_TOO_LONG
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, Outcomes
from credit_risk.deciding.laps import Laps
from credit_risk.serving.batching import Batching
from credit_risk.serving.metrics import Metrics

MAX_IN_FLIGHT = 8  # batches that may wait for another machine at the same time
# With each batch that waits, the next one must be larger by this share of the largest: many small batches, each with a
# call of its own to the other machine, would cost more than they gain.
STEP = 4


class Timed(NamedTuple):
    """A decision, and when it was on record (perf_counter)."""

    decided: Decided
    time: float


class _Waiting(NamedTuple):
    """An application in the queue."""

    application: Asked
    origin: Origin
    decided: asyncio.Future[Timed]
    since: float  # perf_counter; when it was queued
    arrived: float  # perf_counter; before that it may have waited in the buffer of its socket


class AdaptiveRunner:
    """Decides applications in batches, on the event loop of the worker's process. To be used on one loop only."""

    def __init__(self, decider: Decider, batching: Batching, metrics: Metrics) -> None:
        self._decider = decider
        self._metrics = metrics
        self._max_rows = batching.max_batch_size if batching.enabled else 1
        self._max_wait = batching.max_latency_ms / 1000
        self._max_queue = batching.max_queue_size
        metrics.limit_queue(self._max_queue)
        self._queue: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._task_is_due = False  # whether a task was made that has not begun

    def refuse_late(self, now: float, arrived: float) -> None:
        """Raise UnavailableError if a request has waited for too long, before anything more is spent on it."""
        if now - arrived > self._max_wait:
            self._metrics.shed(WAITED_TOO_LONG)
            raise UnavailableError(WAITED_TOO_LONG)

    async def run(
        self, application: Asked, origin: Origin, arrived: float | None = None, laps: Laps | None = None
    ) -> Decided:
        """Decide one application, which arrived then (perf_counter), or else now.

        The stages until its decision was on record are counted, and ended on its stopwatch.

        Raises UnavailableError if the service is overloaded, and whatever the decider found wrong.
        """
        if len(self._queue) >= self._max_queue:
            self._metrics.shed(QUEUE_FULL)
            raise UnavailableError(QUEUE_FULL)
        now = perf_counter()
        decided: asyncio.Future[Timed] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(application, origin, decided, now, now if arrived is None else arrived))
        self._start_task()
        try:
            timed = await decided
            if laps is not None:
                laps.last = timed.time
            return timed.decided
        except UnavailableError:
            if laps is not None:
                laps.last = perf_counter()
            raise
        finally:
            del decided  # an error in it would refer to this frame, and keep the request until the garbage is collected

    async def run_many(self, parts: Iterable[Part], origin: Origin, laps: Laps | None = None) -> list[Decided]:
        """Decide the applications of one request, in order: all of them or, with an error, none."""
        decisions = await self._decider.decide_all(parts, origin, laps)
        self._metrics.decided(decisions)
        return decisions

    def _start_task(self) -> None:
        if self._task_is_due or not self._queue or len(self._tasks) >= MAX_IN_FLIGHT:
            return
        if len(self._queue) * STEP >= min(len(self._tasks), STEP) * self._max_rows:
            self._task_is_due = True
            self._tasks.add(asyncio.get_running_loop().create_task(self._decide_what_waits()))

    async def _decide_what_waits(self) -> None:
        """Decide all that waits, in batches.

        As long as nothing suspends, the event loop does not turn between batches: deciding a request costs less than
        reading one, so under overload the loop would read more than it decides and spend its time on refusals.
        """
        self._task_is_due = False
        self._metrics.queued(len(self._queue))
        try:
            while self._queue:
                begun = perf_counter()
                batch = self._next_batch(begun)
                if batch:
                    self._start_task()  # for what is left, in case deciding this batch suspends
                    await self._decide(batch, begun)
        finally:
            self._tasks.discard(asyncio.current_task())

    def _next_batch(self, now: float) -> list[_Waiting]:
        batch: list[_Waiting] = []
        waited_in_all = 0.0
        while self._queue and len(batch) < self._max_rows:
            waiting = self._queue.popleft()
            if waiting.decided.done():  # the caller has gone
                continue
            waited_in_all += now - waiting.since
            if now - waiting.arrived > self._max_wait:
                self._metrics.shed(WAITED_TOO_LONG)
                waiting.decided.set_exception(UnavailableError(WAITED_TOO_LONG))
                continue
            batch.append(waiting)
        self._metrics.spent("queue", waited_in_all, "single")
        return batch

    async def _decide(self, batch: list[_Waiting], begun: float) -> None:
        outcomes: Outcomes
        laps = Laps(self._metrics.spent, "single", begun, len(batch))
        try:
            outcomes = await self._decider.decide([w.application for w in batch], [w.origin for w in batch], laps)
        except Exception as error:  # nobody may wait for ever
            outcomes = [error] * len(batch)
        decisions = []
        for waiting, outcome in zip(batch, outcomes, strict=True):
            has_gone = waiting.decided.done()  # the caller, while the batch was under way
            if isinstance(outcome, Decided):
                decisions.append(outcome)
                if not has_gone:
                    waiting.decided.set_result(Timed(outcome, laps.last))
            elif not has_gone:
                waiting.decided.set_exception(outcome)
        self._metrics.decided(decisions)
        self._metrics.batched(len(batch))
