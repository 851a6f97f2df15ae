"""Who may ask, and how much at once: API keys as bearer tokens, and a limit on the body.

A key is known only by the sha256 of its token, so that neither a setting nor a memory dump gives a token away. Several
keys are valid at once, so that one can be replaced while its successor is already in use.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256

from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.contract.errors import RequestError, TooLargeError, UnauthorizedError
from credit_risk.serving.http.answering import answer_error

OPEN = frozenset({"/livez", "/readyz", "/healthz"})  # load balancers have no key
BODY_LIMITS = {"/classify": 64 * 1024, "/classify_batch": 10 * 1024 * 1024}  # bytes
OTHER_LIMIT = 64 * 1024


class Access:
    """An ASGI application in front of another. It puts the name of the caller's key into `scope["caller"]`."""

    def __init__(self, app: ASGIApp, keys: Callable[[], Mapping[str, str]], *, open_metrics: bool) -> None:
        """`keys` gives the sha256 of each token in hexadecimal, by the key's name. Without keys, everybody may ask."""
        self._app = app
        self._keys = keys
        self._open = OPEN | {"/metrics"} if open_metrics else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        authorization = length = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value)
            elif name == b"authorization":
                authorization = value
        limit = BODY_LIMITS.get(scope["path"], OTHER_LIMIT)
        try:
            keys = self._keys()
            if keys and scope["path"] not in self._open:
                scope["caller"] = _caller(keys, authorization)
            if length is not None and length > limit:
                raise TooLargeError(limit)
        except RequestError as error:
            await answer_error(error, send)
            return
        await self._app(scope, receive, send)


def _caller(keys: Mapping[str, str], authorization: bytes | None) -> str:
    """Find the key that this token belongs to. Every key is compared, in the same time wherever they differ."""
    scheme, _, token = (authorization or b"").partition(b" ")
    digest = sha256(token.strip()).hexdigest()
    found = [name for name, known in keys.items() if hmac.compare_digest(digest, known)]
    if scheme.lower() != b"bearer" or not found:
        raise UnauthorizedError
    return found[0]
