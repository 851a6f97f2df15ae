"""Reads the body of a request, within a limit and a time."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from credit_risk.contract.errors import TimedOutError, TooLargeError

SECONDS = 10.0  # from the head of the request to the end of its body


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body. Answers None if the caller went away before its end.

    Raises TooLargeError above `limit` bytes, and TimedOutError if the end does not come.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    chunks, length = [body], len(body)
    try:
        async with asyncio.timeout(SECONDS):
            while message.get("more_body", False):
                message = await receive()
                chunks.append(message.get("body", b""))
                length += len(chunks[-1])
                if length > limit:
                    raise TooLargeError(limit)
    except TimeoutError:
        raise TimedOutError(SECONDS) from None
    return None if message["type"] == "http.disconnect" else b"".join(chunks)
