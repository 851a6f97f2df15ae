"""A container with the limits of Fargate's smallest task, and a read-only root file system."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from hashlib import sha256

import pytest

from tests.container.conftest import NO_HEALTH, SMALLEST_TASK, Container, Image, running
from tests.corpus import BAD, GOOD, SAMPLE
from tests.e2e.callers import callers
from tests.e2e.conftest import Server
from tests.e2e.test_bento import comparable
from tests.e2e.test_serve import post


def test_it_answers_as_the_source_does(container: Container, server: Server) -> None:
    for body in GOOD.values():
        assert comparable(post(container.url, body)) == comparable(post(server.url, body))
    for bad in list(BAD.values())[::10]:
        assert post(container.url, bad.body) == post(server.url, bad.body)


def test_it_is_healthy(container: Container, image: Image) -> None:
    assert container.execute(*image.health_check()).returncode == 0


def test_it_runs_as_a_user_without_rights(container: Container) -> None:
    assert container.execute("id", "-u").stdout.strip() == "1034"
    assert container.execute("touch", "/home/bentoml/bento/src/service.py").returncode != 0
    assert container.execute("touch", "/home/bentoml/file").returncode != 0
    assert container.execute("touch", "/tmp/file").returncode == 0


def test_it_is_two_processes(container: Container) -> None:
    """They are the parent and one worker, because a small task of Fargate has a fraction of a core."""
    shown = container.execute("sh", "-c", "cat /proc/[0-9]*/comm")
    assert [name for name in shown.stdout.split() if name not in ("sh", "cat")] == ["bentoml", "python"]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("CREDIT_RISK_POLICY=/nowhere.yaml", "policy /nowhere.yaml can't be read"),
        ("CREDIT_RISK_REQUIRE_API_KEYS=true", "API keys are required"),
        ("CREDIT_RISK_TYPO=1", "there is no setting CREDIT_RISK_TYPO"),
    ],
)
def test_it_refuses_to_start_with_a_wrong_setting(image: Image, setting: str, sentence: str) -> None:
    command = [image.tool, "run", "--rm", *NO_HEALTH[image.tool], *SMALLEST_TASK, "-e", setting, image.tag]
    started = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert started.returncode == 1
    assert f"credit_risk: {sentence}" in started.stderr
    assert "Traceback" not in started.stderr


def test_settings_come_from_the_environment(image: Image) -> None:
    keys = json.dumps({"branch": sha256(b"token").hexdigest()})
    configuration = json.dumps({"services": {"credit_risk_classifier": {"batching": {"max_batch_size": 7}}}})
    options = ("-e", f"CREDIT_RISK_API_KEYS={keys}", "-e", "CREDIT_RISK_WORKERS=2")
    with running(image, *options, "-e", f"BENTOML_CONFIG_OVERRIDES={configuration}") as container:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            status_of(container, {})
        assert status_of(container, {"Authorization": "Bearer token"}) == 200
        assert "max_batch_size=7" in container.log()
        shown = container.execute("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
        assert shown.count("python") == 2


def status_of(container: Container, headers: dict[str, str]) -> int:
    request = urllib.request.Request(
        f"{container.url}/classify", json.dumps(SAMPLE).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def test_it_ends_with_its_worker(image: Image) -> None:
    with running(image) as container:
        kill_all_but_the_first = "import os, signal; os.kill(-1, signal.SIGKILL)"
        killed = container.execute("python", "-c", kill_all_but_the_first)
        assert killed.returncode == 0
        container.wait()


def test_it_ends_with_one_of_its_workers(image: Image) -> None:
    with running(image, "-e", "CREDIT_RISK_WORKERS=2") as container:
        script = "for p in /proc/[0-9]*; do [ $(cat $p/comm) = python ] && kill -9 ${p#/proc/} && break; done"
        assert container.execute("sh", "-c", script).returncode == 0
        assert container.wait() == 1


def test_whatever_it_accepted_before_sigterm_is_answered(image: Image) -> None:
    with running(image, *SMALLEST_TASK) as container, callers(container.url, kept_alive=16, anew=4) as account:
        time.sleep(2)
        subprocess.run([image.tool, "kill", "--signal", "TERM", container.name], capture_output=True, check=True)
        assert container.wait() == 0
    assert account.faults == []
    assert account.answers
