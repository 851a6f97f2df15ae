"""A real MLServer that serves the model of the store, from the environment that `.ci/model-server` makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.conftest import PROJECT
from tests.e2e.conftest import free_port

MLSERVER = PROJECT / ".venv-mlserver" / "bin" / "mlserver"
MODEL = "credit_risk_model"


class MLServer(NamedTuple):
    folder: Path  # as `python -m deploy.model_server export` wrote it
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"v2+{self.url}/v2/models/{MODEL}"

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.model_server", "export", str(folder), *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[MLServer]:
    """Start MLServer on what was exported to a folder, and wait until the model is ready."""
    port = port or free_port()
    settings = json.loads((folder / "settings.json").read_text())
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps(settings | ports | {"host": "127.0.0.1"}))
    with (folder / "mlserver.log").open("ab") as log:
        process = subprocess.Popen(
            [str(MLSERVER), "start", "."],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # XGBoost's threads would wait for each other on a busy machine
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = MLServer(folder, port, process)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            server.kill()


def _wait_until_ready(server: MLServer, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/v2/models/{MODEL}/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"MLServer did not become ready; see {server.folder / 'mlserver.log'}")
