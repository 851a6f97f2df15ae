"""Lets large batches in one after the other.

A batch that is read or decided takes tens of megabytes. So one at a time is let in, in the order in which they came,
and its body is read only then. A few may wait; the rest are refused at once.
"""

from __future__ import annotations

import asyncio
import math
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.contract.errors import UnavailableError
from credit_risk.serving.http.access import MANY
from credit_risk.serving.http.answering import answer_error

MOST_WAITING = 8  # batches in a worker
MOST_SECONDS = 10.0  # that a batch may wait
BATCHES_FULL = "The service is overloaded: too many batches wait"


class Admission:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()  # wakes those who wait in the order in which they came
        self._waiting = 0
        self._seconds = 0.0  # that the last batch took

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in MANY or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif await self._is_admitted(scope, send):
            begun = perf_counter()
            try:
                await self._app(scope, receive, send)
            finally:
                self._seconds = perf_counter() - begun
                self._turn.release()

    async def _is_admitted(self, scope: Scope, send: Send) -> bool:
        if self._waiting >= MOST_WAITING:
            await answer_error(self._full(), scope, send)
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            await answer_error(self._full(), scope, send)
            return False
        finally:
            self._waiting -= 1
        return True

    def _full(self) -> UnavailableError:
        return UnavailableError(BATCHES_FULL, retry_after=math.ceil((self._waiting + 1) * self._seconds))
