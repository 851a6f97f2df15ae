"""A service to attack, started for that and ended afterwards: on this machine, or in the smallest container."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attack.container import Container
from attack.errors import AttackError
from attack.insides import Family
from attack.target import Target
from deploy.container_tool import find_container_tool
from deploy.errors import DeployError

PROJECT = Path(__file__).parents[1]
BENTOML = str(Path(sys.executable).with_name("bentoml"))
IMAGE = "credit_risk_classifier:latest"
# The limits of Fargate's smallest task, hardened.
SMALLEST = ("--memory", "512m", "--cpus", "0.25", "--read-only", "--cap-drop", "all")
READY_SECONDS = 90
END_SECONDS = 30


class _Served(Family):
    """The processes and the log of a service on this machine."""

    def __init__(self, pid: int, log: Path) -> None:
        super().__init__(pid)
        self._log = log

    def log(self) -> bytes:
        return self._log.read_bytes()


@contextmanager
def own_service() -> Iterator[Target]:
    """`bentoml serve` on a free port with a key, and a decision log of its own. Raises AttackError if it fails."""
    port, key = _free_port(), secrets.token_urlsafe(16)
    with TemporaryDirectory(prefix="credit-risk-attack-") as folder:
        log = Path(folder) / "serve.log"
        environment = {"CREDIT_RISK_DECISION_LOG": f"{folder}/decisions", "CREDIT_RISK_API_KEYS": _keys(key)}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [BENTOML, "serve", "--production", "--timeout-keep-alive", "75", "--port", str(port)],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        try:
            _wait_until_ready(port, lambda: process.poll() is None, lambda: log.read_text(errors="replace"))
            time.sleep(2)  # for the other workers
            yield Target("127.0.0.1", port, key, _Served(process.pid, log))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def own_container(image: str) -> Iterator[Target]:
    """A container of this image with 512 MB and a quarter of a core. Raises AttackError if it fails."""
    try:
        tool = find_container_tool()
    except DeployError as error:
        raise AttackError(str(error)) from None
    port, key, name = _free_port(), secrets.token_urlsafe(16), f"credit-risk-attack-{uuid.uuid4().hex[:8]}"
    options = ["--detach", "--name", name, "--publish", f"127.0.0.1:{port}:3000", *SMALLEST]
    options += ["--env", f"CREDIT_RISK_API_KEYS={_keys(key)}", "--env", "CREDIT_RISK_DECISION_LOG=off"]
    if tool == "podman":
        options.append("--no-healthcheck")  # it would have systemd run it
    try:
        started = subprocess.run([tool, "run", *options, image], capture_output=True, text=True, check=False)
        if started.returncode:
            raise AttackError(f"{tool} can't run {image}, which `make image` makes: {started.stderr.strip()[-300:]}")
        container = Container(tool, name)
        _wait_until_ready(port, container.runs, lambda: container.log().decode(errors="replace"))
        yield Target("127.0.0.1", port, key, container)
    finally:
        subprocess.run([tool, "rm", "--force", name], capture_output=True, check=False)


def _keys(key: str) -> str:
    return json.dumps({"attack": hashlib.sha256(key.encode()).hexdigest()})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(port: int, runs: Callable[[], bool], log: Callable[[], str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and runs():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AttackError(f"the service did not become ready:\n{log()[-1000:]}")
