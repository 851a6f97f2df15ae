"""Tells browsers what they may do with an answer: nothing, unless it says what its page needs."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def content_security_policy(*allowed: str) -> str:
    """Forbid everything but what is `allowed`, such as `style-src 'self'`."""
    never = ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")  # default-src leaves these open
    return "; ".join(["default-src 'none'", *allowed, *never])


HEADERS = (
    (b"content-security-policy", content_security_policy().encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class Confined:
    """An ASGI application in front of another. Its answers have the headers above that they did not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in HEADERS if name not in given]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_confined)
