"""A socket for each worker: real sockets on loopback, as BentoML's parent and its workers open them."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator

import click
import pytest
from bentoml._internal.utils.circus import create_standalone_arbiter
from circus.arbiter import Arbiter
from circus.sockets import CircusSocket

from credit_risk.serving.bento.listening import PARENT_SOCKET, listen_apart, reserve_port, take_free_ports
from tests.e2e.conftest import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems keep the shared socket")


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[CircusSocket]:
    """The parent's socket, bound to a free port."""
    monkeypatch.setattr(CircusSocket, "bind_and_listen", CircusSocket.bind_and_listen)
    reserve_port()
    with CircusSocket(name=PARENT_SOCKET, host="127.0.0.1", port=free_port(), backlog=16) as reserved:
        reserved.bind_and_listen()
        yield reserved


def worker_of(parent: CircusSocket) -> socket.socket:
    """What a worker listens on: it inherits the parent's socket, and puts its own in its place."""
    inherited = socket.socket(fileno=os.dup(parent.fileno()))
    with click.Context(click.Command("worker")) as context:
        context.params = {"fd": inherited.fileno()}
        listen_apart()
    inherited.listen(128)
    return inherited


def test_the_parent_reserves_its_port_without_taking_connections(parent: CircusSocket) -> None:
    assert parent.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", parent.port), 5).close()


def test_nobody_else_may_listen_on_the_reserved_port(parent: CircusSocket) -> None:
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", parent.port)).close()


def test_two_parents_do_not_share_a_port(parent: CircusSocket) -> None:
    """Also if both have found it free: as with two servers that are started at the same moment."""
    with CircusSocket(name=PARENT_SOCKET, host="127.0.0.1", port=parent.port, backlog=16) as second:
        with pytest.raises(OSError, match="in use"):
            second.bind_and_listen()
        with worker_of(parent) as worker:
            socket.create_connection(parent.getsockname(), 5).close()
            assert len(list(accepted(worker))) == 1


def test_each_worker_gets_some_of_the_connections_and_none_gets_anothers(parent: CircusSocket) -> None:
    with worker_of(parent) as first, worker_of(parent) as second:
        assert first.getsockname() == second.getsockname() == parent.getsockname()
        callers = [socket.create_connection(parent.getsockname(), 5) for _ in range(64)]
        taken = Counter(worker for worker in (first, second) for _ in accepted(worker))
        for caller in callers:
            caller.close()
    assert taken.total() == 64
    assert min(taken[first], taken[second]) >= 8  # 64 fair coins give fewer with a probability of 1e-10


def test_a_worker_that_ends_leaves_the_others_listening(parent: CircusSocket) -> None:
    with worker_of(parent) as left:
        worker_of(parent).close()
        for _ in range(8):
            socket.create_connection(parent.getsockname(), 5).close()
        assert len(list(accepted(left))) == 8


def test_a_parent_that_listens_itself_keeps_its_socket() -> None:
    """As on systems where the kernel does not spread connections."""
    with socket.create_server(("127.0.0.1", 0)) as shared, click.Context(click.Command("worker")) as context:
        context.params = {"fd": shared.fileno()}
        listen_apart()
        assert shared.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_other_sockets_of_bentoml_are_left_alone(parent: CircusSocket) -> None:  # noqa: ARG001 - it patches
    with CircusSocket(name="another", host="127.0.0.1", port=0) as other:
        other.bind_and_listen()
        socket.create_connection(("127.0.0.1", other.port), 5).close()


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    before = CircusSocket.bind_and_listen
    reserve_port()
    assert CircusSocket.bind_and_listen is before


def accepted(worker: socket.socket) -> Iterator[socket.socket]:
    worker.settimeout(0.2)
    try:
        while True:
            connection, _ = worker.accept()
            connection.close()
            yield connection
    except TimeoutError:
        return


def test_circus_starts_though_another_process_takes_ports_that_were_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Arbiter, "initialize", Arbiter.initialize)
    take_free_ports()
    arbiter = create_standalone_arbiter([])
    ports = [int(each.rpartition(":")[2]) for each in (arbiter.endpoint, arbiter.pubsub_endpoint)]
    taken = [socket.create_server(("127.0.0.1", port)) for port in ports]
    try:
        arbiter.initialize()
        arbiter.ctrl.initialize()
    finally:
        arbiter.evpub_socket.close()
        arbiter.ctrl.ctrl_socket.close()
        arbiter.context.destroy(0)
        for other in taken:
            other.close()
