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
from typing import NamedTuple, Protocol

from credit_risk.contract.customer import Asked, Part
from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import QUEUE_FULL, WAITED_TOO_LONG
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, Outcomes
from credit_risk.deciding.laps import Laps
from credit_risk.serving.answers import failed
from credit_risk.serving.batching import Batching
from credit_risk.serving.metrics import Metrics

MAX_IN_FLIGHT = 8  # batches that may wait for another machine at the same time
# With each batch that waits, the next one must be larger by this share of the largest: many small batches, each with a
# call of its own to the other machine, would cost more than they gain.
STEP = 4


class Asker(Protocol):
    """Who waits for a decision."""

    @property
    def has_gone(self) -> bool:
        """Whether nobody waits any more."""

    def settle(self, outcome: Decided | Exception, batch: Laps) -> None:
        """Take a decision, which is on record, or an error. The stopwatch is that of its batch."""


class Waiter:
    """One who waits in a task."""

    def __init__(self) -> None:
        self.settled: asyncio.Future[tuple[Decided | Exception, Laps]] = asyncio.get_running_loop().create_future()

    @property
    def has_gone(self) -> bool:
        return self.settled.done()

    def settle(self, outcome: Decided | Exception, batch: Laps) -> None:
        self.settled.set_result((outcome, batch))


class _Waiting(NamedTuple):
    """An application in the queue."""

    application: Asked
    origin: Origin
    asker: Asker
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

        The stages until its decision was on record are put on its stopwatch.

        Raises UnavailableError if the service is overloaded, and whatever the decider found wrong.
        """
        now = perf_counter() if laps is None else laps.last
        waiter = Waiter()
        self.submit(application, origin, waiter, since=now, arrived=now if arrived is None else arrived)
        outcome, batch = await waiter.settled
        if laps is not None:
            laps.join(batch)
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            del outcome, waiter  # an error would refer to this frame, and keep the request until garbage is collected

    def submit(self, application: Asked, origin: Origin, asker: Asker, *, since: float, arrived: float) -> None:
        """Queue an application for whom its asker is told the outcome. It has waited `since` then (perf_counter).

        Raises UnavailableError if the queue is full.
        """
        if len(self._queue) >= self._max_queue:
            self._metrics.shed(QUEUE_FULL)
            raise UnavailableError(QUEUE_FULL)
        self._queue.append(_Waiting(application, origin, asker, since, arrived))
        if not self._task_is_due:
            self._start_task()

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
                laps = Laps(self._metrics.spent, "single", perf_counter())
                batch = self._next_batch(laps)
                if batch:
                    if self._queue:
                        self._start_task()  # for what is left, in case deciding this batch suspends
                    await self._decide(batch, laps)
        finally:
            self._tasks.discard(asyncio.current_task())

    def _next_batch(self, laps: Laps) -> list[_Waiting]:
        """Take what is decided next, on a stopwatch that begins now."""
        batch: list[_Waiting] = []
        now = laps.begun
        queued: list[float] = []
        while self._queue and len(batch) < self._max_rows:
            waiting = self._queue.popleft()
            if waiting.asker.has_gone:
                continue
            queued.append(now - waiting.since)
            if now - waiting.arrived > self._max_wait:
                self._metrics.shed(WAITED_TOO_LONG)
                _settle(waiting.asker, UnavailableError(WAITED_TOO_LONG), laps)
                continue
            batch.append(waiting)
        self._metrics.queued_for(queued)
        laps.requests = len(batch)
        return batch

    async def _decide(self, batch: list[_Waiting], laps: Laps) -> None:
        outcomes: Outcomes
        try:
            outcomes = await self._decider.decide([w.application for w in batch], [w.origin for w in batch], laps)
        except Exception as error:  # nobody may wait for ever
            outcomes = [error] * len(batch)
        self._metrics.decided([outcome for outcome in outcomes if isinstance(outcome, Decided)])
        self._metrics.batched(len(batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.asker.has_gone:  # while the batch was under way
                _settle(waiting.asker, outcome, laps)


def _settle(asker: Asker, outcome: Decided | Exception, laps: Laps) -> None:
    try:
        asker.settle(outcome, laps)
    except Exception as error:  # one connection must not harm the others of its batch
        failed(error)
