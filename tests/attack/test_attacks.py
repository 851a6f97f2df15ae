"""A few seconds of every attack, on a service that the suite starts for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from attack.catalogue import ATTACKS
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def verdicts(trained: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:  # noqa: ARG001 - needs a model
    report = tmp_path_factory.mktemp("attack") / "report.json"
    command = [sys.executable, "-m", "attack", "--seconds", "2", "--requests", "5000", "--report", str(report)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert report.exists(), done.stderr
    told = json.loads(report.read_text())
    assert done.returncode == (not told["held"])
    return {verdict["name"]: verdict for verdict in told["attacks"]}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_service_holds(verdicts: dict[str, Any], name: str) -> None:
    assert verdicts[name]["faults"] == []


def test_well_behaved_callers_are_asked_about(verdicts: dict[str, Any]) -> None:
    for verdict in verdicts.values():
        assert set(verdict["callers"]) == {"/classify", "/livez"}
        assert all(caller["asked"] > 0 for caller in verdict["callers"].values())


def test_memory_and_descriptors_are_looked_at(verdicts: dict[str, Any]) -> None:
    for verdict in verdicts.values():
        assert all(verdict["memory_mb"][when] > 100 for when in ("before", "peak", "after"))
        assert verdict["descriptors"]["after"] > 10
