"""The command line: what it attacks, what it refuses to, and what it says of what gave way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attack.catalogue import ATTACKS
from tests.attack.weak import weak_service
from tests.conftest import PROJECT


def attack(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attack", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_help_says_what_is_done_to_a_service_and_names_every_attack() -> None:
    shown = " ".join(attack("--help").stdout.split())
    assert "invented decisions go on its record" in shown
    assert "Never attack a service that others rely on" in shown
    for known in ATTACKS.values():
        assert f"{known.name} {known.sentence}" in shown


@pytest.mark.parametrize("url", ["http://192.0.2.1:3000", "http://0.0.0.0:3000", "http://[2001:db8::1]"])
def test_an_address_of_another_machine_is_refused(url: str) -> None:
    refused = attack("--url", url)
    assert refused.returncode != 0
    assert "add --yes-this-is-mine if the service is yours to attack" in refused.stderr


@pytest.mark.parametrize("url", ["https://localhost:3000", "localhost:3000", "http://localhost:99999"])
def test_what_is_no_address_is_refused(url: str) -> None:
    refused = attack("--url", url)
    assert refused.returncode != 0
    assert "give one such as http://localhost:3000" in refused.stderr


def test_what_gave_way_is_named_and_is_the_exit_status(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with weak_service() as weak:
        done = attack("batches", "--url", weak.url, "--seconds", "1", "--report", str(report))
    assert done.returncode == 1
    assert "1 of 1 gave way" in done.stdout
    told = json.loads(report.read_text())
    assert not told["held"]
    assert "answered 500" in told["attacks"][0]["faults"]
    assert "decided no batch at all" in told["attacks"][0]["faults"]


def test_a_service_that_is_down_ends_the_attacks() -> None:
    with weak_service() as gone:
        url = gone.url
    done = attack("upgrades", "garbage", "--url", url, "--seconds", "1")
    assert done.returncode == 1
    assert "nothing can be told about the rest" in done.stdout
    assert "/livez and /readyz did not come back" in done.stdout
