"""AWS and docker for the tests: moto's server, and a fake docker, because there is no registry to push to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]

from tests.conftest import PROJECT
from tests.e2e.conftest import free_port

REGION = "eu-central-1"
VENV = Path(sys.executable).parent
KEYS = {"branch": sha256(b"a token").hexdigest()}

# It records its arguments. On push it puts a manifest into moto's ECR, as a push to a registry would.
DOCKER = """#!/bin/sh
echo "docker $*" >> "$DOCKER_LOG"
case "$1" in
image)
  case "$5" in *:missing) echo "Error: No such image: $5" >&2; exit 1;; esac
  echo "${DOCKER_PLATFORM:-linux/amd64}";;
login) cat > "$DOCKER_LOG.password";;
push)
  if [ -n "$DOCKER_PUSH_FAILS" ]; then echo "connection reset by peer" >&2; exit 1; fi
  repository="${2#*/}"
  type=application/vnd.docker.distribution.manifest.v2+json
  region="$(echo "$2" | cut -d. -f4)"
  exec aws --region "$region" ecr put-image --repository-name "${repository%%:*}" --image-tag "${repository##*:}" \\
    --image-manifest "{\\"schemaVersion\\": 2, \\"mediaType\\": \\"$type\\", \\"of\\": \\"${repository##*:}\\"}";;
esac
"""


class Cloud(NamedTuple):
    """moto's server, and an environment in which commands can reach no other AWS."""

    folder: Path
    environment: dict[str, str]

    @property
    def keys_file(self) -> Path:
        return self.folder / "keys.json"

    @property
    def docker_log(self) -> Path:
        return self.folder / "docker.log"

    def run(self, *arguments: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m deploy.ecs` with these arguments."""
        return self.run_with(sys.executable, *arguments, stdin=stdin, **environment)

    def run_with(
        self, python: str | Path, *arguments: str | Path, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "deploy.ecs", *arguments],
            cwd=PROJECT,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def deploy(self, tag: str, *options: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("deploy", f"credit_risk_classifier:{tag}", *options, **environment)


@contextmanager
def cloud_in(folder: Path) -> Iterator[Cloud]:
    """Start a Cloud that keeps its files in this folder, and stop it afterwards."""
    port = free_port()
    (folder / "bin").mkdir()
    docker = folder / "bin" / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (folder / "keys.json").write_text(json.dumps(KEYS))
    environment = {
        "PATH": os.pathsep.join((str(folder / "bin"), str(VENV), "/usr/bin", "/bin")),
        "HOME": str(folder),  # hides the user's own configuration of AWS
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKER_LOG": str(folder / "docker.log"),
    }
    command = [sys.executable, "-m", "tests.deploy.moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | environment, stdout=log, stderr=log)
    try:
        wait_until_up(environment["AWS_ENDPOINT_URL"], process)
        yield Cloud(folder, environment)
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError("moto's server did not start")
