"""The image, built by `make image` as a user would, and containers of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import bentoml
import pytest

from deploy.container_tool import find_container_tool
from deploy.errors import DeployError
from tests.conftest import PROJECT, user_environment
from tests.e2e.conftest import free_port, server

__all__ = ["server"]  # a fixture that the tests here use too

# The limits of Fargate's smallest task, hardened.
SMALLEST_TASK = ("--memory", "512m", "--cpus", "0.25", "--read-only", "--cap-drop", "all")


class Image(NamedTuple):
    tool: str  # docker or podman
    tag: str

    def run(self, *command: str, entrypoint: str = "", options: tuple[str, ...] = ()) -> str:
        """Run a command in a new container, and return what it prints."""
        line = [
            self.tool,
            "run",
            "--rm",
            *NO_HEALTH[self.tool],
            "--entrypoint",
            entrypoint,
            *options,
            self.tag,
            *command,
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, tag: str | None = None) -> dict[str, Any]:
        shown = subprocess.run([self.tool, "image", "inspect", tag or self.tag], capture_output=True, check=True)
        inspected: dict[str, Any] = json.loads(shown.stdout)[0]
        return inspected

    def health_check(self) -> list[str]:
        """Return the command of the health check, which Podman and Docker show in different places."""
        inspected = self.inspect()
        command: list[str] = (inspected.get("Healthcheck") or inspected["Config"]["Healthcheck"])["Test"]
        return command[1:]


# Podman runs health checks with systemd, which is not everywhere. A test runs the check itself.
NO_HEALTH = {"docker": (), "podman": ("--no-healthcheck",)}


class Container(NamedTuple):
    tool: str
    name: str
    url: str

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.tool, "exec", self.name, *command], capture_output=True, text=True, check=False)

    def log(self) -> str:
        shown = subprocess.run([self.tool, "logs", self.name], capture_output=True, text=True, check=True)
        return shown.stdout + shown.stderr

    def wait(self, seconds: float = 40) -> int:
        """Wait until the container ends by itself, and return its exit status."""
        ended = subprocess.run(
            [self.tool, "wait", self.name], capture_output=True, text=True, timeout=seconds, check=True
        )
        return int(ended.stdout)


@pytest.fixture(scope="session")
def image(trained: str) -> Image:  # noqa: ARG001 - the store must be filled
    try:
        tool = find_container_tool()
    except DeployError as error:
        if "REQUIRE_CONTAINER_TOOLS" in os.environ:
            raise
        pytest.skip(error.message)
    arguments = "ARGS=--network host" if tool == "podman" else "ARGS="
    made = subprocess.run(
        ["make", "image", arguments], cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return Image(tool, str(bentoml.get("credit_risk_classifier:latest").tag))


@contextmanager
def running(image: Image, *options: str) -> Iterator[Container]:
    """Run a container of the image with these options, wait until it is ready, and remove it afterwards."""
    port = free_port()
    name = f"credit-risk-test-{uuid.uuid4().hex[:8]}"
    publish = ("-p", f"127.0.0.1:{port}:3000")
    subprocess.run(
        [image.tool, "run", "-d", "--name", name, *NO_HEALTH[image.tool], *publish, *options, image.tag],
        capture_output=True,
        check=True,
    )
    container = Container(image.tool, name, f"http://127.0.0.1:{port}")
    try:
        _wait_until_ready(container)
        yield container
    finally:
        subprocess.run([image.tool, "rm", "-f", name], capture_output=True, check=True)


def _wait_until_ready(container: Container, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{container.url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the container did not become ready:\n{container.log()}")


@pytest.fixture(scope="session")
def container(image: Image) -> Iterator[Container]:
    with running(image, *SMALLEST_TASK) as container:
        yield container
