"""A real `bentoml serve` on a free port, with its log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import HOME, PROJECT, user_environment

# BentoML closes a connection after 5 idle seconds. On a busy machine a caller may take as long between two requests,
# and would meet the closing connection.
KEEP_ALIVE = ("--timeout-keep-alive", "75")
BENTOML = str(Path(sys.executable).with_name("bentoml"))


class Server(NamedTuple):
    url: str
    log: Path
    process: subprocess.Popen[bytes]
    stdout: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    *arguments: str, folder: Path = PROJECT, stdout_to: int | None = None, **environment: str
) -> Iterator[Server]:
    """`bentoml serve` with these arguments, ready; ended with its workers afterwards.

    `stdout_to` is a descriptor that takes the place of the file `Server.stdout`.
    """
    port = free_port()
    log, stdout = HOME / f"serve-{port}.log", HOME / f"serve-{port}.out"
    with log.open("wb") as err, stdout.open("wb") as out:
        process = subprocess.Popen(
            [BENTOML, "serve", *arguments, *KEEP_ALIVE, "--port", str(port)],
            cwd=folder,
            env=user_environment() | environment,
            stdout=stdout_to or out,
            stderr=err,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", log, process, stdout)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not become ready:\n{server.log.read_text()}")


def workers_of(server: Server, expected: int, seconds: float = 20) -> int:
    """How many workers have started, once `expected` have or the time is up: the server is ready with the first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _started(server) < expected:
        time.sleep(0.1)
    return _started(server)


def _started(server: Server) -> int:
    return server.log.read_text().count("Service credit_risk_classifier initialized")


@pytest.fixture(scope="session", autouse=True)
def _trained(trained: str) -> None:
    """Every server needs a model in the store."""


@pytest.fixture(scope="session")
def server(trained: str) -> Iterator[Server]:  # noqa: ARG001 - the store must be filled
    with serving("--production") as server:
        yield server
