"""The end of a worker, without a request lost: on SIGTERM it goes on answering for a moment, and says goodbye to each.

uvicorn alone would close every idle connection at once, also one on which a request is on its way, and leave the port
open in BentoML's parent process, where new connections wait in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from functools import partial
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LAST_ANSWERS_SECONDS = 0.3  # after the port is closed, for whoever was let in last


class Drain:
    """ASGI application in front of another; while `draining`, each answer asks the caller to connect anew.

    By then that caller, or the load balancer before it, finds another server or a closed port.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.draining:
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_and_close)

    def take_over_sigterm(self) -> None:
        """Called within uvicorn's event loop, in the main thread: drain before uvicorn shuts down."""
        shut_down: Any = signal.getsignal(signal.SIGTERM)  # the method of uvicorn's server
        loop = asyncio.get_running_loop()

        def begin() -> None:
            self.draining = True
            loop.call_later(self._seconds, end)

        def end() -> None:
            _close_the_port(shut_down.__self__, loop)
            loop.call_later(LAST_ANSWERS_SECONDS, shut_down, signal.SIGTERM, None)

        def on_sigterm(signum: int, frame: FrameType | None) -> None:
            if self.draining:  # somebody is in a hurry
                shut_down(signum, frame)
            else:
                loop.call_soon_threadsafe(begin)

        signal.signal(signal.SIGTERM, on_sigterm)


def _close_the_port(server: Any, loop: asyncio.AbstractEventLoop) -> None:
    """For all processes that hold it: in the parent, new connections would wait for nobody.

    Closing resets the connections that wait to be accepted; so they are accepted first.
    """
    for descriptor in [each.fileno() for listener in server.servers for each in listener.sockets]:
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            listening.setblocking(False)
            accepted = []
            with contextlib.suppress(OSError):  # none waits any more, or another worker has closed the port
                while True:
                    accepted.append(listening.accept()[0])
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            loop.create_task(_serve(server, connection, loop))


async def _serve(server: Any, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    """As uvicorn does with each connection that it accepts itself."""
    state = {"server_state": server.server_state, "app_state": server.lifespan.state}
    protocol = partial(server.config.http_protocol_class, config=server.config, **state, _loop=loop)
    await loop.connect_accepted_socket(protocol, connection, ssl=server.config.ssl)
