"""The end of a worker without a lost request: on SIGTERM it goes on answering for a moment, then closes its port.

uvicorn alone would close every idle connection at once, also one on which a request is on its way, and would reset the
connections that wait to be accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import struct
from functools import partial
from importlib.metadata import version
from types import FrameType
from typing import Any

from credit_risk.contract.errors import DependencyError
from credit_risk.serving.http.drain import Drain

LAST_HANDSHAKES_SECONDS = 0.1  # until the last connections that began are complete and can be accepted
LAST_ANSWERS_SECONDS = 0.3  # for the last callers that were let in, after the port is closed
SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h
# A classic BPF program. It drops TCP segments that begin a connection (SYN without ACK) and passes all others, so that
# handshakes that have begun are completed. Each instruction is (code, jump if true, jump if false, operand).
DROP_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte of the TCP flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def take_over_sigterm(drain: Drain, seconds: float) -> None:
    """Drain for so many seconds on SIGTERM, before uvicorn shuts down. SIGINT shuts down at once.

    To be called in uvicorn's event loop, in the main thread. Raises DependencyError if uvicorn's server is not found
    where it is expected.
    """
    shut_down: Any = signal.getsignal(signal.SIGTERM)
    server = _checked_server(getattr(shut_down, "__self__", None))
    loop = asyncio.get_running_loop()

    def begin() -> None:
        drain.draining = True
        loop.call_later(seconds, refuse_new_connections)

    def refuse_new_connections() -> None:
        for listening in _listeners(server):
            _refuse_new_connections(listening)
        loop.call_later(LAST_HANDSHAKES_SECONDS, close_port)

    def close_port() -> None:
        for listening in _listeners(server):
            _close_port(listening, server, loop)
        loop.call_later(LAST_ANSWERS_SECONDS, shut_down, signal.SIGTERM, None)

    def on_sigterm(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        # Whoever signals a whole process group reaches a worker twice: directly, and through its parent.
        if not drain.draining:
            loop.call_soon_threadsafe(begin)

    signal.signal(signal.SIGTERM, on_sigterm)


def _checked_server(server: Any) -> Any:
    """Check that this is uvicorn's server as it is used below, while nothing is lost yet."""
    lacking = [name for name in ("server_state", "lifespan", "config") if not hasattr(server, name)]
    if not lacking and not hasattr(server.config, "http_protocol_class"):
        lacking = ["config.http_protocol_class"]
    if lacking:
        raise DependencyError(
            f"uvicorn {version('uvicorn')} does not handle SIGTERM as uvicorn 0.54 does (its server has no "
            f"{', '.join(lacking)}); install the version in requirements.txt"
        )
    return server


def _listeners(server: Any) -> list[socket.socket]:
    """Duplicate the sockets on which the server listens."""
    descriptors = [each.fileno() for listener in server.servers for each in listener.sockets]
    return [socket.socket(fileno=os.dup(descriptor)) for descriptor in descriptors if descriptor >= 0]


def _refuse_new_connections(listening: socket.socket) -> None:
    """Let no connection begin. Without this the kernel resets those that arrive just before the port is closed.

    Whoever comes now is refused a second later, when its kernel tries again and finds the port closed. Systems other
    than Linux have no such filter, and lose the race now and then.
    """
    with listening, contextlib.suppress(OSError):
        instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_NEW_CONNECTIONS)
        program = ctypes.create_string_buffer(instructions)
        described = struct.pack("HL", len(DROP_NEW_CONNECTIONS), ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)


def _close_port(listening: socket.socket, server: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Accept the connections that wait, which closing would reset, and close the port."""
    accepted = []
    with listening:
        listening.setblocking(False)
        with contextlib.suppress(OSError):  # until none waits any more
            while True:
                accepted.append(listening.accept()[0])
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        loop.create_task(_serve(server, connection, loop))


async def _serve(server: Any, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    """Serve a connection as uvicorn serves each that it accepts itself."""
    state = {"server_state": server.server_state, "app_state": server.lifespan.state}
    protocol = partial(server.config.http_protocol_class, config=server.config, **state, _loop=loop)
    await loop.connect_accepted_socket(protocol, connection, ssl=server.config.ssl)
