"""The experiments of the scoring handler: everything starts, agrees, and is measured, in small."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple

import click
import pytest

from bench.architectures.breaking import broken_by
from bench.architectures.pieces import KINDS, PORTS, Ports
from tests.conftest import PROJECT
from tests.redis_server import require_redis_server

COMMAND = (sys.executable, "-m", "bench.architectures")
BRIEFLY = ("--calls", "3", "--low", "2", "--step", "1", "--hold", "2", "--stress", "2", "--first", "5", "--most", "8")
ORIGINAL_BODY = b"[5.1,3.5,1.4,0.2]"
NAMES = {
    "sleeping": ["sync", "async", "this service"],
    "real": ["sync", "async", "this service", "this service, model in process"],
}


@pytest.fixture(scope="module", autouse=True)
def _redis_server() -> None:
    require_redis_server()


class Answer(NamedTuple):
    status: int
    content: Any


def free_ports() -> Ports:
    for _ in range(100):
        # Below the ports that Linux gives to connections.
        ports = Ports(random.randrange(10_000, 24_000))
        try:
            ports.check_free()
        except click.UsageError:
            continue
        return ports
    raise AssertionError("there are no free ports")


def ask(port: int, path: str, body: bytes | None = None) -> Answer:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return Answer(reply.status, json.load(reply))
    except urllib.error.HTTPError as error:
        return Answer(error.code, json.load(error))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run of everything in small."""
    results = tmp_path_factory.mktemp("architectures")
    command = [*COMMAND, *BRIEFLY, "--results", str(results), "--port-offset", str(free_ports().offset)]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return results


@pytest.fixture(scope="module", params=KINDS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Ports, dict[str, Any]]]:
    """The kind, the ports, and what a known customer sends, while `--serve` runs."""
    ports = free_ports()
    command = [*COMMAND, "--serve", "--kind", request.param, "--port-offset", str(ports.offset)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        sent = next((line for line in lines if line.startswith("Ask for ")), "")
        assert sent, "it ended"
        customer = json.loads(sent.removeprefix("Ask for ").partition("; end with Ctrl-C")[0])
        yield request.param, ports, customer
        process.send_signal(signal.SIGINT)
        process.wait(60)
    ports.check_free()


@pytest.mark.parametrize("piece", ["async", "async model", "sync", "sync model"])
def test_the_originals_requests_are_answered_as_there(served: tuple[str, Ports, dict[str, Any]], piece: str) -> None:
    kind, ports, _ = served
    assert PORTS[piece] in (8000, 8001, 5000, 5001)
    assert ask(ports[piece], "/api/v1/healthcheck") == (200, {"status": "OK"})
    status, content = ask(ports[piece], f"/api/v1/ml/{piece.split()[0]}/predict", ORIGINAL_BODY)
    if kind == "sleeping":
        assert status == 200
        assert 0.04 <= content["detail"] <= 0.05
    else:  # a real model can't score four numbers
        assert status == 422
        assert "numbers, in the order " in content["error"]


def test_the_services_and_the_handlers_decide_alike(served: tuple[str, Ports, dict[str, Any]]) -> None:
    kind, ports, customer = served
    body = json.dumps(customer).encode()
    answers = []
    for name in NAMES[kind]:
        path = "/classify" if name.startswith("this") else f"/api/v1/ml/{name}/predict"
        status, content = ask(ports[name], path, body)
        assert status == 200, content
        answers.append((content["Status"], content["probability_of_default"]))
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"customer": "nobody", "time": 12, "amount": 100, "price": 200}', "seniority"),
        (b'{"time": 12}', "amount"),
        (b"3", "an array of numbers, or an object"),
        (b"{", "not JSON"),
    ],
)
def test_what_can_not_be_decided_is_refused(served: tuple[str, Ports, dict[str, Any]], body: bytes, told: str) -> None:
    for name in ("sync", "async"):
        status, content = ask(served[1][name], f"/api/v1/ml/{name}/predict", body)
        assert status == 422
        assert told in content["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_architecture_is_swarmed(measured: Path, kind: str) -> None:
    found = json.loads((measured / f"{kind}.json").read_text())
    assert "cores of" in found["machine"]["processor"]
    assert [row["name"] for row in found["rows"]] == NAMES[kind]
    for row in found["rows"]:
        assert all(row[part]["requests"] > 0 for part in ("low", "held", "stress"))
        assert all(row[part]["failures"] == 0 for part in ("low", "held", "stress"))
        assert row["steps"][0]["users"] == 5
    assert (measured / f"{kind}.png").stat().st_size > 0
    for page in ("sync-low.html", "async-ramp.html", "this-service-held.html", "this-service-stress_stats.csv"):
        assert (measured / "locust" / kind / page).stat().st_size > 0


def test_calls_are_timed_and_compared(measured: Path) -> None:
    found = json.loads((measured / "timeit.json").read_text())
    for kind, rows in found["kinds"].items():
        assert [row["name"] for row in rows] == NAMES[kind]
        assert all(len(row["calls_ms"]) == 3 for row in rows)
        assert set(rows[0]["faster_than"]) == set(NAMES[kind][1:])
    assert (measured / "timeit.png").stat().st_size > 0


def test_a_call_is_profiled_in_every_piece(measured: Path) -> None:
    pieces = ["sync-client", "sync-handler", "sync-model", "async-client", "async-handler", "async-model"]
    pieces += ["this-service-client", "this-service", "model-server"]
    for piece in pieces:
        for page in ("pyinstrument.html", "pyinstrument.txt", "yappi.txt"):
            text = (measured / "profiles" / f"{piece}.{page}").read_text()
            assert text
            assert str(PROJECT) not in text, f"{piece}.{page} names folders of this machine"
            assert sys.prefix not in text
    assert "predict" in (measured / "profiles" / "sync-model.yappi.txt").read_text()
    assert "sleep" in (measured / "profiles" / "async-model.pyinstrument.txt").read_text()


@pytest.mark.parametrize(
    ("answered", "failures", "p95_ms", "told"),
    [
        (100, 0, 250, ""),
        (100, 1, 10, "errors"),
        (89, 0, 10, "less than 90% answered"),
        (90, 0, 251, "p95 above 250 ms"),
    ],
)
def test_a_step_is_broken_by(answered: int, failures: int, p95_ms: float, told: str) -> None:
    assert broken_by(due=100, answered=answered, failures=failures, p95_ms=p95_ms, bound_ms=250) == told


def test_a_port_that_is_taken_is_named() -> None:
    ports = free_ports()
    with socket() as other:
        other.bind(("127.0.0.1", ports["sync"]))
        other.listen()
        with pytest.raises(click.UsageError, match=f"port {ports['sync']} is taken: add --port-offset"):
            ports.check_free()


def test_a_missing_redis_server_is_named(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path)}
    run = subprocess.run(COMMAND, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "apt-get install redis-server" in run.stderr
