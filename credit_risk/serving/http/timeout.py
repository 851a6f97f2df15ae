"""Bounds the time in which BentoML answers: `traffic.timeout` in bentoconfiguration.yaml.

It takes the place of BentoML's own, which keeps each request in memory until its time is over, answered or not, and
works on it in a task that nothing cancels.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_risk.contract.errors import TooSlowError
from credit_risk.serving.http.answering import answer_error


class Timeout:
    """An ASGI application in front of another, of which it cancels what has not begun to answer in time."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        """`timeout` is in seconds."""
        self._app = app
        self._seconds = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds) as timer:

                async def send_in_time(message: Message) -> None:
                    timer.reschedule(None)
                    await send(message)

                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if not timer.expired():
                raise
            await answer_error(TooSlowError(self._seconds), scope, send)
