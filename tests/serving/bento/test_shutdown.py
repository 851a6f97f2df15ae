"""Closing a port without a reset: the filter, on real sockets."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time

import pytest

from credit_risk.contract.errors import DependencyError
from credit_risk.serving.bento import shutdown


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such filter")
def test_the_filter_keeps_new_connections_out_and_lets_old_ones_in_and_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        before = socket.create_connection(listening.getsockname(), 5)
        shutdown._refuse_new_connections(listening.dup())
        accepted, _ = listening.accept()  # it had come before
        before.sendall(b"still here")
        assert accepted.recv(100) == b"still here"
        with pytest.raises(TimeoutError):
            socket.create_connection(listening.getsockname(), 0.3).close()
        for connection in (before, accepted):
            connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such filter")
def test_nobody_is_reset_while_the_port_is_closed() -> None:
    """Callers connect without a pause; whoever got in is accepted, whoever did not is refused."""
    for _ in range(5):
        assert reset_while_closing() == []


def reset_while_closing() -> list[str]:
    faults: list[str] = []
    served: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    address, over = listening.getsockname(), threading.Event()

    def connect() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(address, 5) as connection:
                    connection.sendall(b"?")
                    if connection.recv(1) != b"!":
                        faults.append("hung up")
            except (ConnectionRefusedError, TimeoutError):
                return
            except OSError as error:
                faults.append(repr(error))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if connection.recv(1):
                connection.sendall(b"!")

    callers = [threading.Thread(target=connect) for _ in range(8)]
    for caller in callers:
        caller.start()
    deadline = time.monotonic() + 0.1
    listening.settimeout(0.01)
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            serve(listening.accept()[0])
    shutdown._refuse_new_connections(listening.dup())
    time.sleep(shutdown.LAST_HANDSHAKES_SECONDS)
    listening.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            served.append(listening.accept()[0])
    listening.close()
    for connection in served:
        connection.setblocking(True)
        serve(connection)
    over.set()
    for caller in callers:
        caller.join(10)
    return faults


def test_a_handler_that_is_not_uvicorns_is_named() -> None:
    with pytest.raises(
        DependencyError, match=r"uvicorn [\d.]+ .* \(its server has no server_state, lifespan, config\)"
    ):
        shutdown._checked_server(None)
