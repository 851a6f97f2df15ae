"""Sending an error as an answer."""

from __future__ import annotations

from starlette.types import Send

from credit_risk.contract.errors import RequestError


async def answer_error(error: RequestError, send: Send) -> None:
    """Answer with the status, headers and body of an error."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(error.body)),
        *((name.encode(), value.encode()) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": error.body})
