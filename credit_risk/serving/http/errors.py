"""The one error body for what never reaches the endpoints: BentoML's own 404, 405, 415, 429, 500 and 504."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import error_body
from credit_risk.serving.http.answering import request_id


class OneErrorBody:
    """An ASGI application in front of another. It gives every answer of status 400 and above the contract's body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        chunks: list[bytes] = []

        async def mended(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                start = message
            elif start is None:
                await send(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _send_error(scope, send, start, b"".join(chunks))

        await self.app(scope, receive, mended)


async def _send_error(scope: Scope, send: Send, start: Message, body: bytes) -> None:
    mended = _mend(start["status"], body)
    headers = {name.lower(): value for name, value in start["headers"]}
    headers |= {b"content-type": b"application/json", b"content-length": b"%d" % len(mended)}
    headers.setdefault(b"x-request-id", request_id(scope).encode())
    await send({**start, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else mended})


def _mend(status: int, body: bytes) -> bytes:
    """Keep a body that is the contract's already, or else make one of what it says or what its status means."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict) and isinstance(content.get("error"), str) and isinstance(content.get("detail"), list):
        return body
    if isinstance(content, list) and content:  # BentoML answers some 4xx with an array of one error
        content = content[0]
    if isinstance(content, dict) and isinstance(content.get("error"), str):
        return error_body(content["error"])
    return error_body(HTTPStatus(status).phrase)
