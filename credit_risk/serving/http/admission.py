"""Lets large batches in one after the other, and reads bodies, both before BentoML sees a request.

A batch that is read or decided takes tens of megabytes. So one at a time is let in, in the order in which they came,
and its body is read only then. A few may wait; the rest are refused at once.
"""

from __future__ import annotations

import asyncio
import math
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import RequestError, UnavailableError, UnsupportedTypeError
from credit_risk.serving.http.access import BODY_LIMITS, OTHER_LIMIT
from credit_risk.serving.http.answering import answer_error
from credit_risk.serving.http.body_reader import read_body
from credit_risk.serving.http.fast_path import PICKLE

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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] != "/classify_batch" or scope["method"] != "POST":
            await self._answer(scope, receive, send)
        elif await self._is_admitted(scope, send):
            begun = perf_counter()
            try:
                await self._answer(scope, receive, send)
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

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if any(value == PICKLE for _, value in scope["headers"]):
                raise UnsupportedTypeError
            body = await read_body(receive, BODY_LIMITS.get(scope["path"], OTHER_LIMIT))
        except RequestError as error:
            await answer_error(error, scope, send)
            return
        if body is not None:
            await self._app(scope, _replaying(body, receive), send)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Make a `receive` that gives the whole body at once, and then what still comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
