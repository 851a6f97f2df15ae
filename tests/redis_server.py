"""A real Redis for tests, from Debian's package or its like."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis


class Redis:
    """A Redis on a port of its own, which keeps nothing on disk."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        """`options` are those of redis-server."""
        self.port = port or _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        quiet = (
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--loglevel",
            "warning",
            "--bind",
            "127.0.0.1",
        )
        port = () if "--tls-port" in self._options else ("--port", str(self.port))
        command = ["redis-server", *port, *quiet, *self._options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd="/tmp")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        """End it, with all that it knows."""
        self.process.kill()
        self.process.wait()

    def calls(self, command: str) -> int:
        """Count the calls of a command so far."""
        with redis.from_url(self.url) as client:
            statistics: dict[str, Any] = client.info("commandstats")
        return int(statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def require_redis_server() -> None:
    """Skip the test where there is no redis-server, or fail it where REQUIRE_NEIGHBOURS is set."""
    if shutil.which("redis-server") is None:
        missing = "redis-server is not installed; on Debian and Ubuntu `apt-get install redis-server`"
        pytest.fail(missing) if os.environ.get("REQUIRE_NEIGHBOURS") else pytest.skip(missing)


@contextmanager
def redis_server(*options: str) -> Iterator[Redis]:
    """Run one."""
    require_redis_server()
    server = Redis(*options)
    try:
        yield server
    finally:
        server.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 with its key."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    name = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *name], check=True, capture_output=True)
    return key, certificate


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
