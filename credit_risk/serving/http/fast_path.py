"""Answers POST /classify ahead of BentoML's middleware, which costs ten times as much as a decision.

The same function answers behind BentoML's endpoint, with the same bytes. Everything else goes there: other routes and
methods, requests with a preference, and traced requests, so that their traces are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.contract.errors import RequestError
from credit_risk.serving.endpoints import Endpoints, Request
from credit_risk.serving.http.access import BODY_LIMITS
from credit_risk.serving.http.answering import answer_error
from credit_risk.serving.http.body_reader import read_body

PICKLE = b"application/vnd.bentoml+pickle"  # BentoML would refuse it with a traceback


class FastPath:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, endpoints: Callable[[], Endpoints]) -> None:
        """`endpoints` is called for each request, because BentoML makes them after it has made the application."""
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/classify" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        came = perf_counter()
        request_id = key = traced = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = request_id or value
            elif name == b"idempotency-key":
                key = value if key is None else key
            elif name == b"traceparent":
                traced = is_sampled(value)
            elif value == PICKLE or name == b"prefer":
                await self._app(scope, receive, send)
                return
        if scope.get("chosen", False) if traced is None else traced:
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive, BODY_LIMITS["/classify"])
        except RequestError as error:
            await answer_error(error, scope, send)
            return
        if body is None:
            return
        begun = scope.get("arrived", came)
        asked = Request(body, request_id, scope.get("caller"), begun, key, scope)
        status, headers, answer = await self._endpoints().classify(asked)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def is_sampled(traceparent: bytes) -> bool:
    """Tell whether the caller records this trace: bit 0 of the last field (W3C Trace Context, 3.2.2.5)."""
    try:
        return bool(int(traceparent[-2:], 16) & 1)
    except ValueError:
        return False
