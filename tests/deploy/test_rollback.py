"""Return to the previous model or bento on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
from pathlib import Path

import pytest

from tests.conftest import PROJECT, train, user_environment
from tests.corpus import GOOD
from tests.deploy.test_archive import Machine, assert_refused
from tests.e2e.conftest import BENTOML, serving
from tests.e2e.test_serve import post


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with two models, and a bento of each."""
    machine = Machine(tmp_path_factory.mktemp("rollback"), {})
    for seed in ("1", "2"):
        assert train("--seed", seed, home=machine.home).returncode == 0
        environment = user_environment() | {"BENTOML_HOME": str(machine.home)}
        subprocess.run([BENTOML, "build"], cwd=PROJECT, env=environment, capture_output=True, check=True)
    return machine


def latest(machine: Machine, kind: str, name: str) -> str:
    return (machine.home / kind / name / "latest").read_text()


@pytest.mark.parametrize(
    ("option", "kind", "name"), [([], "models", "credit_risk_model"), (["--bento"], "bentos", "credit_risk_classifier")]
)
def test_the_version_before_becomes_the_latest_and_any_can_return(
    machine: Machine, option: list[str], kind: str, name: str
) -> None:
    newest = latest(machine, kind, name)
    assert machine.run(*option, module="deploy.rollback").returncode == 0
    oldest = latest(machine, kind, name)
    assert {newest, oldest} == {tag.partition(":")[2] for tag in machine.stored(kind)}
    assert newest != oldest
    assert_refused(machine.run(*option, module="deploy.rollback"), f"there is no version before {name}:{oldest}")
    assert machine.run(*option, "--to", newest, module="deploy.rollback").returncode == 0
    assert latest(machine, kind, name) == newest
    assert_refused(machine.run(*option, "--to", "nowhere", module="deploy.rollback"), f"there is no {name}:nowhere")


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    assert_refused(Machine(tmp_path, {}).run(module="deploy.rollback"), "there is no credit_risk_model:latest")


@pytest.mark.parametrize("what", ["model", "bento"])
def test_make_rollback_serves_what_was_before(machine: Machine, what: str) -> None:
    """The new server takes the place of the running one."""
    served = ["credit_risk_classifier:latest"] if what == "bento" else []
    environment = user_environment() | {"BENTOML_HOME": str(machine.home)}
    with serving(*served, BENTOML_HOME=str(machine.home)) as server:
        _, before = post(server.url, GOOD["nulls"])
        port = server.url.rpartition(":")[2]
        with subprocess.Popen(
            ["make", "rollback", f"WHAT={what}", f"PORT={port}"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as rollback:
            try:
                assert server.process.wait(60) == 0
                after = answered(server.url)
            finally:
                os.killpg(rollback.pid, signal.SIGTERM)
                output, _ = rollback.communicate(timeout=40)
    assert b":latest is now " in output
    [old], [new] = ([tag for tag in machine.stored("models") if tag in each.decode()] for each in (before, after))
    assert old != new


def answered(url: str, seconds: float = 60) -> bytes:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return post(url, GOOD["nulls"])[1]
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("no server answers")
