"""The services that are measured, each started the way its own documentation has it, two workers, on one port."""

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

PORT = 3055
URL = f"http://127.0.0.1:{PORT}"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Peer:
    """A service and the command that starts it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = PROJECT


def _bentoml(target: str) -> tuple[str, ...]:
    return (str(BIN / "bentoml"), "serve", target, "--production", "--port", str(PORT))


def _uvicorn(app: str) -> tuple[str, ...]:
    return (
        str(BIN / "uvicorn"),
        app,
        "--workers",
        "2",
        "--port",
        str(PORT),
        "--no-access-log",
        "--log-level",
        "warning",
    )


OURS = Peer("this service", _bentoml("service:svc"))
FASTAPI = Peer("FastAPI", _uvicorn("bench.peers.fastapi_app:app"))
TUTORIAL = Peer(
    "tutorial's BentoML runner",
    _bentoml("bench.peers.tutorial.service:svc"),
    {"BENTOML_CONFIG": str(PROJECT / "bench" / "peers" / "tutorial" / "bentoconfiguration.yaml")},
)
PEERS = (
    OURS,
    Peer("FastAPI + this batching", _uvicorn("bench.peers.fastapi_app:batched")),
    FASTAPI,
    Peer(
        "Flask, gunicorn",
        (
            str(BIN / "gunicorn"),
            "bench.peers.flask_app:app",
            "--workers",
            "2",
            "--threads",
            "4",
            "--bind",
            f"127.0.0.1:{PORT}",
        ),
    ),
    TUTORIAL,
    Peer("a constant, uvicorn", _uvicorn("bench.peers.constant_app:app")),
)


@dataclass(frozen=True)
class Running:
    """A started service."""

    process: psutil.Popen

    def family(self) -> list[psutil.Process]:
        """The process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def memory_mb(self) -> float:
        """Resident memory of all processes, with what they share counted once (proportional set size)."""
        return sum(float(process.memory_full_info().pss) for process in self.family()) / 2**20

    def worker_memory_mb(self) -> float:
        """Resident memory of the largest process (RSS)."""
        return max(float(process.memory_info().rss) for process in self.family()) / 2**20


@contextmanager
def running(peer: Peer, **environment: str) -> Iterator[Running]:
    """The service, ready to answer on URL; ended with all its workers afterwards."""
    inherited = os.environ | {"PYTHONPATH": str(PROJECT), "BENTOML_DO_NOT_TRACK": "True"}
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(
            peer.command,
            cwd=peer.folder,
            env=inherited | peer.environment | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, log)
            time.sleep(2)  # until the second worker is there as well
            yield Running(process)
        finally:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except psutil.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_ready(process: psutil.Popen, log: IO[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{URL}/livez", timeout=5).close()
            return
        except urllib.error.HTTPError:  # answers, if only that it has no such route
            return
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"{process.args} did not start:\n{log.read().decode()}")
