"""Ray and Spark in the environment that `.ci/engines` makes, on the model of the run's store."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow.fs as pafs
import pytest
from moto.server import ThreadedMotoServer

from tests.conftest import PROJECT
from tests.e2e.conftest import free_port

ENGINES = PROJECT / ".venv-engines" / "bin"
FAKE = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def python(trained: str) -> Path:  # noqa: ARG001 - the store must be filled
    found = ENGINES / "python"
    if not found.exists():
        if os.environ.get("REQUIRE_ENGINES"):
            pytest.fail(f"there is no {found}: run .ci/engines")
        pytest.skip("Ray and Spark are not installed: run .ci/engines")
    return found


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """For Ray on a loopback address, which needs no tokens."""
    return os.environ | FAKE | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"} | dict(more)


class Engine(NamedTuple):
    """The command, run where Ray is installed."""

    python: Path
    more: Mapping[str, str] = {}

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        command = [str(self.python), "-m", "credit_risk", "score", *map(str, arguments), "--engine", "ray"]
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(self.more),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: object) -> tuple[int, str]:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said


class Bucket(NamedTuple):
    """An imitation of S3."""

    filesystem: pafs.FileSystem
    endpoint: str


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"access_key": "testing", "secret_key": "testing"}
    filesystem = pafs.S3FileSystem(**keys, endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True)
    filesystem.create_dir("bucket")
    yield Bucket(filesystem, endpoint)
    server.stop()


@pytest.fixture(scope="session")
def cluster(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of one machine. Its workers find no model store, and run in another folder."""
    port, folder = free_port(), tmp_path_factory.mktemp("cluster")
    command = [str(python.with_name("ray")), "start", "--head", "--block", "--node-ip-address", "127.0.0.1"]
    command += ["--port", str(free_port()), "--ray-client-server-port", str(port), "--num-cpus", "2"]
    command += ["--include-dashboard", "false", "--object-store-memory", "100000000"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment({"BENTOML_HOME": str(folder)}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(port, process, folder / "log")
        yield f"ray://127.0.0.1:{port}"
    finally:
        end(psutil.Process(process.pid))
        process.wait()


def end(process: psutil.Process) -> None:
    """Kill a process and all that it has started."""
    with_it = [*process.children(recursive=True), process]
    for each in with_it:
        each.kill()
    psutil.wait_procs(with_it, timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not _listens(port):
        assert time.monotonic() < deadline, log.read_text()
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
