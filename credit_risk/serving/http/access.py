"""Who may ask, and how much: API keys as bearer tokens, their limits, and a limit on the body.

A key is known only by the sha256 of its token, so that neither a setting nor a memory dump gives a token away. Several
keys are valid at once, so that one can be replaced while its successor is already in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import ForbiddenError, RequestError, TooLargeError, UnauthorizedError
from credit_risk.serving.http.answering import answer_error
from credit_risk.serving.http.failed_keys import FailedKeys
from credit_risk.serving.keys import Keys, Right, name_of
from credit_risk.serving.limits import Limits, Quota
from credit_risk.serving.routes import DECISIONS, JOBS

OPEN = frozenset({"/livez", "/readyz", "/healthz"})  # load balancers have no key
MANY = ("/classify_batch", "/classify_array", "/classify_table")  # take many applications in a request
BODY_LIMITS = {"/classify": 64 * 1024, **dict.fromkeys(MANY, 10 * 1024 * 1024)}  # bytes
OTHER_LIMIT = 64 * 1024
RIGHTS: dict[str, Right] = {"classify": "decide", JOBS[1:]: "decide", DECISIONS[1:]: "review"}  # by the start of paths


class Access:
    """An ASGI application in front of another. It puts the name of the caller's key into `scope["caller"]`."""

    def __init__(
        self, app: ASGIApp, keys: Callable[[], Keys], limits: Limits, *, open_metrics: bool, largest_job: int
    ) -> None:
        """`keys` gives the keys in force, by name. Without keys, everybody may ask. `largest_job` is in bytes."""
        self._app = app
        self._keys = keys
        self._limits = limits
        self._failed_keys = FailedKeys()
        self._body_limits = BODY_LIMITS | {JOBS: largest_job}
        self._open = OPEN | {"/metrics"} if open_metrics else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        authorization = length = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value.lstrip(b"0") or b"0")  # zeros in front may be more digits than Python reads
            elif name == b"authorization":
                authorization = value
        path, limit = scope["path"], self._body_limits.get(scope["path"], OTHER_LIMIT)
        keys = self._keys()
        batch: AbstractContextManager[None] = nullcontext()
        try:
            if keys and path not in self._open:
                name = scope["caller"] = await self._name_of(keys, authorization, scope)
                key = keys[name]
                _check_right(key.right, path)
                if key.requests_per_second is not None:
                    quota = self._limits.take(name, key.requests_per_second, time.monotonic())
                    send = _telling(quota, send)
                if key.batches is not None and path in MANY:
                    batch = self._limits.batch(name, key.batches)
            if length is not None and length > limit:
                raise TooLargeError(limit)
            with batch:
                await self._app(scope, receive, send)
        except RequestError as error:
            await answer_error(error, scope, send)

    async def _name_of(self, keys: Keys, authorization: bytes | None, scope: Scope) -> str:
        """Find the key that the token belongs to. Raises UnauthorizedError, after a moment, if there is none."""
        name = name_of(keys, authorization)
        if name is None:
            client = scope.get("client")
            await self._failed_keys.note(client[0] if client else "an unknown address")
            raise UnauthorizedError
        return name


def _check_right(right: Right, path: str) -> None:
    """Raise ForbiddenError unless a key with a right may ask for a path."""
    first = path[1:].partition("/")[0]
    needed = RIGHTS.get(first.partition("_")[0])
    if needed not in (None, right):
        may = "ask for decisions" if right == "decide" else "put reviews and outcomes on record"
        raise ForbiddenError(f"This API key may {may}, and nothing else")


def _telling(quota: Quota, send: Send) -> Send:
    """Make a `send` that tells the caller what is left (draft-ietf-httpapi-ratelimit-headers-10)."""
    told = [
        (b"ratelimit-policy", b'"requests";q=%d;w=1' % quota.limit),
        (b"ratelimit", b'"requests";r=%d;t=1' % quota.left),
    ]

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return telling
