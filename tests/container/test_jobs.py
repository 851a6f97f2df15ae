"""A worker of jobs in a container of its own, as deploy/compose.yaml runs it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.container.conftest import NO_HEALTH, SMALLEST_TASK, Container, Image, running
from tests.corpus import SAMPLE

OF_JOBS = ("-e", "CREDIT_RISK_JOBS=sqlite:////home/bentoml/jobs/jobs.sqlite")
LOG = ("-e", "CREDIT_RISK_DECISION_LOG=/home/bentoml/decisions", "-v", "/home/bentoml/decisions")
WORKER = ("--read-only", "--cap-drop", "all", "--memory", "1g", *LOG)


@contextmanager
def volume(tool: str) -> Iterator[tuple[str, ...]]:
    """Make a volume, and give the options that mount it where jobs are."""
    name = f"credit-risk-test-{uuid.uuid4().hex[:8]}"
    subprocess.run([tool, "volume", "create", name], capture_output=True, check=True)
    try:
        yield "-v", f"{name}:/home/bentoml/jobs"
    finally:
        subprocess.run([tool, "volume", "rm", name], capture_output=True, check=True)


@contextmanager
def working(image: Image, *options: str) -> Iterator[Container]:
    name = f"credit-risk-test-{uuid.uuid4().hex[:8]}"
    command = [image.tag, "python", "-m", "credit_risk", "worker"]
    options = ("-d", "--name", name, *NO_HEALTH[image.tool], *WORKER, *options)
    subprocess.run([image.tool, "run", *options, *command], capture_output=True, check=True)
    try:
        yield Container(image.tool, name, "")
    finally:
        subprocess.run([image.tool, "rm", "-f", name], capture_output=True, check=True)


def test_a_worker_runs_the_jobs_that_the_service_takes(image: Image) -> None:
    places = (*OF_JOBS, "-e", "CREDIT_RISK_JOBS_FOLDER=/home/bentoml/jobs")
    with (
        volume(image.tool) as jobs,
        running(image, *SMALLEST_TASK, *places, *jobs) as service,
        working(image, *places, *jobs) as worker,
    ):
        body = json.dumps([SAMPLE] * 3).encode()
        request = urllib.request.Request(f"{service.url}/jobs", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            job = f"{service.url}{answer.headers['location']}"
        deadline = time.monotonic() + 60
        while (state := json.load(urllib.request.urlopen(job, timeout=10))["state"]) in ("queued", "running"):
            assert time.monotonic() < deadline, worker.log()
            time.sleep(0.2)
        assert state == "succeeded", worker.log()
        listed = worker.execute("sh", "-c", "cat /home/bentoml/decisions/decisions-*.ndjson | grep -c decision_id")
        assert listed.stdout.strip() == "3", listed.stderr
        subprocess.run([image.tool, "stop", "-t", "30", worker.name], capture_output=True, check=True)
        assert worker.wait() == 0


def test_jobs_are_off_until_a_setting_turns_them_on(container: Container) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{container.url}/jobs", timeout=10)
