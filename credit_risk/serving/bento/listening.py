"""A listening socket for each worker, so that the kernel spreads connections evenly over the workers.

BentoML's parent process opens one socket, and all workers accept from it. Whoever wakes first takes all connections
that wait, and callers that keep their connections alive stay with that worker. Here the parent only reserves the port,
and each worker listens on a socket of its own. So a worker can also stop listening without touching the others.

Only Linux spreads connections over sockets with SO_REUSEPORT. Elsewhere the shared socket stays.
"""

from __future__ import annotations

import os
import socket
import sys

import click
from circus.arbiter import Arbiter
from circus.sockets import CircusSocket

PARENT_SOCKET = "_bento_api_server"  # BentoML's name for it
ANY_PORT = "tcp://127.0.0.1:*"  # ZeroMQ's way to ask the system for a free one


def reserve_port() -> None:
    """Make BentoML's parent process reserve its port without listening. To be called before it opens the socket."""
    if sys.platform == "linux":
        CircusSocket.bind_and_listen = _reserve


def listen_apart() -> None:
    """Put a socket of this worker's own in the place of the one that it inherited."""
    descriptor = click.get_current_context().params["fd"]
    if sys.platform != "linux":
        return
    with socket.socket(fileno=os.dup(descriptor)) as inherited:
        if inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # the parent listens itself
            return
        with socket.socket(inherited.family, inherited.type) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            own.bind(inherited.getsockname())
            os.dup2(own.fileno(), descriptor)  # where BentoML's worker will look; uvicorn listens on it


def take_free_ports() -> None:
    """Let the system choose the ports over which circus is controlled. To be called before circus starts.

    BentoML looks for free ports and gives them up again. When circus binds them, another process may have one of them.
    """
    Arbiter.initialize = _initialize


_initialize_arbiter = Arbiter.initialize
_bind_and_listen = CircusSocket.bind_and_listen


def _initialize(self: Arbiter) -> None:
    self.endpoint = self.pubsub_endpoint = self.ctrl.endpoint = ANY_PORT
    _initialize_arbiter(self)


def _reserve(self: CircusSocket) -> None:
    """Bind the parent's socket without keeping it listening, so that it gets no connections.

    Raises OSError if another server has the port, even one that was started at the same moment.
    """
    if self.name != PARENT_SOCKET:
        _bind_and_listen(self)
        return
    self.bind((self.host, self.port))
    self.listen(1)  # only one socket can, as long as none has SO_REUSEPORT
    # From here on only sockets with SO_REUSEPORT of the same user may listen: our workers'.
    self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    self.shutdown(socket.SHUT_RDWR)  # Linux stops listening and stays bound
    self.setblocking(False)
    self.host, self.port = self.getsockname()[:2]
