"""Reads the body of each request before BentoML sees it, and refuses pickles."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import RequestError, UnsupportedTypeError
from credit_risk.serving.http.access import BODY_LIMITS, OTHER_LIMIT
from credit_risk.serving.http.answering import answer_error
from credit_risk.serving.http.body_reader import read_body
from credit_risk.serving.http.fast_path import PICKLE


class WholeBody:
    """An ASGI application in front of another, which receives the whole body at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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
