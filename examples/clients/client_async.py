"""Decide one credit application over HTTP: a caller to copy, with asyncio. It needs httpx.

    python client_async.py [application.json]

The exit status is 0 when it is decided, 1 when it is refused for good, and 2 when the caller gives up.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

URL = os.environ.get("CREDIT_RISK_URL", "http://localhost:3000")
TOKEN = os.environ.get("CREDIT_RISK_TOKEN")
TIMEOUT = httpx.Timeout(None, connect=2)  # seconds
ATTEMPT = 5  # seconds for the whole of one, which httpx does not bound
BACKOFFS = (0.5, 1, 2)  # the least seconds before each further attempt
TOTAL = 30  # seconds, after which no attempt begins


class RefusedError(Exception):
    """The service would refuse the same request again."""


class UnavailableError(Exception):
    """The service did not decide now. It may after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


async def decide(client: httpx.AsyncClient, application: bytes, request_id: str) -> dict[str, Any]:
    """Ask until the service decides, or until asking again is no use."""
    deadline = time.monotonic() + TOTAL
    for backoff in BACKOFFS:
        try:
            return await ask(client, application, request_id)
        except UnavailableError as error:
            # The jitter keeps callers that failed together from coming back together.
            wait = max(error.retry_after, backoff) * (1 + random.random())
            if time.monotonic() + wait > deadline:
                raise
            print(f"{error} Trying again in {wait:.1f} s.", file=sys.stderr)
            await asyncio.sleep(wait)
    return await ask(client, application, request_id)


async def ask(client: httpx.AsyncClient, application: bytes, request_id: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
    try:
        async with asyncio.timeout(ATTEMPT):
            response = await client.post("/classify", content=application, headers=headers)
    except (TimeoutError, httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise UnavailableError(f"The service did not answer ({str(error) or 'too late'}).") from error
    if response.status_code == 200:
        decision: dict[str, Any] = response.json()
        return decision
    message, detail = error_of(response)
    match response.status_code:
        case 400:
            faults = (f"- {'.'.join(map(str, fault['loc'])) or 'application'}: {fault['msg']}" for fault in detail)
            raise RefusedError("\n".join([message, *faults]))
        case 401:
            raise RefusedError(f"{message} Set CREDIT_RISK_TOKEN to a token that the service knows.")
        case 429 | 503:
            after = response.headers.get("Retry-After", "")
            # Without seconds (a proxy may send a date, or nothing) the backoff counts.
            raise UnavailableError(message, int(after) if after.isdecimal() else 0)
        case status if status >= 500:
            # With 500 and 504, as without an answer, the service may have decided, and the decision be on record.
            # Asking again gives the same decision and another record, with the same request id.
            raise UnavailableError(message)
        case _:  # 408, 413 and 431: the request is too slow or too large; 404 and others: the URL is wrong
            raise RefusedError(message)


def error_of(response: httpx.Response) -> tuple[str, list[dict[str, Any]]]:
    """Return the error in words and its detail. A proxy's error has a body of its own, which is left out."""
    try:
        body = response.json()
        return f"The service answered {response.status_code} ({body['error']}).", body["detail"]
    except (ValueError, LookupError, TypeError):
        return f"The service answered {response.status_code} {response.reason_phrase}.", []


async def main() -> int:
    # The service puts this id on record with the decision, and into its answer. Keep it: support and traces find the
    # request by it, also when no answer came.
    request_id = str(uuid.uuid4())
    print(f"Request {request_id}", file=sys.stderr)
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    try:
        application = Path(sys.argv[1] if len(sys.argv) > 1 else "application.json").read_bytes()
        # A program keeps one client, and with it the connections; many tasks may share it.
        async with httpx.AsyncClient(base_url=URL, headers=headers, timeout=TIMEOUT) as client:
            decision = await decide(client, application, request_id)
    except (RefusedError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except UnavailableError as error:
        print(f"{error} Gave up.", file=sys.stderr)
        return 2
    print(f"{decision['Status']}, with a probability of default of {decision['probability_of_default']}")
    for reason in decision["reasons"]:
        print(f"Reason {reason['code']}: {reason['text']}")
    print(f"Decision {decision['decision_id']}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
