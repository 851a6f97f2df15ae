"""The services that are measured, each started as its own documentation says, with two workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from credit_risk.serving.settings import PROJECT

PORT = 3055  # of the first service
URL = f"http://127.0.0.1:{PORT}"
BIN = Path(sys.executable).parent
LIVEZ = "/livez"


@dataclass(frozen=True)
class Peer:
    """A service and the command that starts it, in which {port} stands for its port."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = PROJECT
    ready: str = LIVEZ  # the path that answers once it may be loaded
    path: str = "/classify"


def bentoml_serve(target: str) -> tuple[str, ...]:
    """Give the command that serves a service of BentoML."""
    return str(BIN / "bentoml"), "serve", target, "--production", "--port", "{port}"


def _uvicorn(app: str) -> tuple[str, ...]:
    quiet = ("--no-access-log", "--log-level", "warning")
    return str(BIN / "uvicorn"), app, "--workers", "2", "--port", "{port}", *quiet


def _gunicorn(app: str) -> tuple[str, ...]:
    return str(BIN / "gunicorn"), app, "--workers", "2", "--threads", "4", "--bind", "127.0.0.1:{port}"


OURS = Peer("this service", bentoml_serve("service:svc"))
SHARED_SOCKET = Peer("shared socket", bentoml_serve("bench.peers.shared_socket.service:svc"))
FASTAPI = Peer("FastAPI, two uvicorn workers", _uvicorn("bench.peers.fastapi_app:app"))
REMOTE = Peer("FastAPI, a request to MLServer for each", _uvicorn("bench.peers.remote_app:app"))
PER_REQUEST = Peer("FastAPI that asks Redis for each", _uvicorn("bench.peers.per_request_app:app"))
TUTORIAL = Peer(
    "the tutorial's BentoML runner",
    bentoml_serve("bench.peers.tutorial.service:svc"),
    {"BENTOML_CONFIG": str(PROJECT / "bench" / "peers" / "tutorial" / "bentoconfiguration.yaml")},
)
PEERS = (
    OURS,
    Peer("FastAPI with this service's batching", _uvicorn("bench.peers.fastapi_app:batched")),
    FASTAPI,
    Peer("Flask, two gunicorn workers", _gunicorn("bench.peers.flask_app:app")),
    TUTORIAL,
    Peer("a constant answer: the limit", _uvicorn("bench.peers.constant_app:app")),
)


@dataclass(frozen=True)
class Running:
    """A started service."""

    process: psutil.Popen
    port: int
    path: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def family(self) -> list[psutil.Process]:
        """List the process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def processor_seconds(self) -> dict[int, float]:
        """Give the processor time that each child has used so far, by process id."""
        times = {child.pid: child.cpu_times() for child in self.process.children(recursive=True)}
        return {pid: time.user + time.system for pid, time in times.items()}

    def memory_mb(self) -> float:
        """Add up the memory of all processes, with what they share counted once (proportional set size)."""
        return sum(float(process.memory_full_info().pss) for process in self.family()) / 2**20


@contextmanager
def running(peer: Peer, port: int = PORT) -> Iterator[Running]:
    """Start a service and wait until it answers. It ends with all its workers afterwards."""
    inherited = os.environ | {"PYTHONPATH": str(peer.folder), "BENTOML_DO_NOT_TRACK": "True", "PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(
            [word.format(port=port) for word in peer.command],
            cwd=peer.folder,
            env=inherited | peer.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, port, log, peer.ready)
            time.sleep(2)  # until the second worker answers too
            yield Running(process, port, peer.path)
        finally:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except psutil.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_ready(process: psutil.Popen, port: int, log: IO[bytes], path: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            return
        except urllib.error.HTTPError:
            if path == LIVEZ:  # it answers, if only that it has no such route
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"{process.args} did not start:\n{log.read().decode()}")
