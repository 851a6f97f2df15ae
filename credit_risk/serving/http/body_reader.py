"""Reads the body of a request, within a limit."""

from __future__ import annotations

from starlette.types import Receive

from credit_risk.contract.errors import TooLargeError


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body. Answers None if the caller went away before its end.

    Raises TooLargeError above `limit` bytes. `receive` raises TimedOutError if the end does not come in time.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise TooLargeError(limit)
    if not message.get("more_body", False):
        return body
    chunks, length = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        chunks.append(message.get("body", b""))
        length += len(chunks[-1])
        if length > limit:
            raise TooLargeError(limit)
    return None if message["type"] == "http.disconnect" else b"".join(chunks)
