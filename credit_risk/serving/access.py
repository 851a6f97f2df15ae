"""Who may ask, and how much at once: API keys as bearer tokens, and a limit on the body.

A key is known by the sha256 of its token only, so that neither a setting nor a dump of the memory gives one away.
Several hold at once, so that a key can be replaced while its successor is already in use.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import RequestError, TooLargeError, UnauthorizedError
from credit_risk.serving.body_reader import read_body

OPEN = frozenset({"/livez", "/readyz", "/healthz"})  # a load balancer has no key
BODY_LIMITS = {"/classify": 64 * 1024, "/classify_batch": 10 * 1024 * 1024}  # bytes
OTHER_LIMIT = 64 * 1024


class Access:
    """ASGI application in front of another. Puts the name of the caller's key into the scope, as `scope["caller"]`."""

    def __init__(self, app: ASGIApp, keys: Mapping[str, str], *, open_metrics: bool) -> None:
        """`keys`: the sha256 of each token in hexadecimal, by the key's name; without any, everybody may ask."""
        self._app = app
        self._keys = [(name, digest.encode()) for name, digest in keys.items()]
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
            if self._keys and scope["path"] not in self._open:
                scope["caller"] = self._caller(authorization)
            if length is None:  # in chunks, if there is a body at all
                receive = await _collected(receive, limit)
            elif length > limit:
                raise TooLargeError(limit)
        except RequestError as error:
            await answer_error(error, send)
            return
        await self._app(scope, receive, send)

    def _caller(self, authorization: bytes | None) -> str:
        """The name of the key whose token this is; compared with every key, in the same time wherever they differ."""
        scheme, _, token = (authorization or b"").partition(b" ")
        digest = sha256(token.strip()).hexdigest().encode()
        found = [name for name, known in self._keys if hmac.compare_digest(digest, known)]
        if scheme.lower() != b"bearer" or not found:
            raise UnauthorizedError
        return found[0]


async def _collected(receive: Receive, limit: int) -> Receive:
    """A `receive` that gives the whole body at once; it is read here."""
    body = await read_body(receive, limit)
    gone: Message = {"type": "http.disconnect"}
    pending = [gone if body is None else {"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


async def answer_error(error: RequestError, send: Send) -> None:
    """Answer with the error's status and body."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(error.body))]
    if error.status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": error.body})
