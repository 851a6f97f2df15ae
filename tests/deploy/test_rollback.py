"""Return to the previous model or bento on one machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from credit_risk.model.releases import record_of
from deploy.server import SECONDS_TO_END
from tests.conftest import PROJECT, QUICK, train, user_environment
from tests.corpus import GOOD
from tests.deploy.machines import Machine, assert_refused
from tests.e2e.conftest import BENTOML, free_port, serving
from tests.e2e.test_serve import post


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with two models, and a bento of each."""
    machine = Machine(tmp_path_factory.mktemp("rollback"), {})
    for seed in ("1", "2"):
        assert train("--seed", seed, *QUICK, home=machine.home).returncode == 0
        environment = user_environment() | {"BENTOML_HOME": str(machine.home)}
        subprocess.run([BENTOML, "build"], cwd=PROJECT, env=environment, capture_output=True, check=True)
    return machine


@pytest.fixture(autouse=True)
def _newest_again(machine: Machine) -> Iterator[None]:
    """Put back what is the latest, so that each test has a version to return to."""
    pointers = list(machine.home.glob("*s/*/latest"))
    newest = [pointer.read_text() for pointer in pointers]
    yield
    for pointer, version in zip(pointers, newest, strict=True):
        pointer.write_text(version)


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
    if kind == "models":
        *_, back, forth = record_of(machine.home / "models")
        assert (back.before, back.to, forth.before, forth.to) == (newest, oldest, oldest, newest)
        assert forth.why == f"rolled back with `python -m deploy.rollback --to {newest}`"
        assert forth.by
    assert_refused(machine.run(*option, "--to", "nowhere", module="deploy.rollback"), f"there is no {name}:nowhere")


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    assert_refused(Machine(tmp_path, {}).run(module="deploy.rollback"), "there is no credit_risk_model:latest")


TOKEN = "a token"
KEYS = json.dumps({"branch": hashlib.sha256(TOKEN.encode()).hexdigest()})


@pytest.mark.parametrize("what", ["model", "bento"])
def test_make_rollback_serves_what_was_before(machine: Machine, what: str) -> None:
    """The new server takes the place of the running one, with its settings. The shell has another environment."""
    served = ["credit_risk_classifier:latest"] if what == "bento" else []
    newest = f"credit_risk_model:{latest(machine, 'models', 'credit_risk_model')}"
    with serving(
        *served,
        "--host",
        "127.0.0.1",
        BENTOML_HOME=str(machine.home),
        CREDIT_RISK_API_KEYS=KEYS,
        CREDIT_RISK_MODEL=newest,
        CREDIT_RISK_DRAIN_SECONDS="37",
    ) as server:
        before = decided(server.url)
        replaced = psutil.Process(server.process.pid).cmdline()
        port = server.url.rpartition(":")[2]
        with rolling_back(f"WHAT={what}", f"PORT={port}") as rollback:
            assert server.process.wait(80) == 0
            after = answered(server.url)
            [serving_now] = [child for child in psutil.Process(rollback.pid).children() if "serve" in child.cmdline()]
            assert serving_now.cmdline() == replaced
            assert post(server.url, GOOD["nulls"])[0] == 401
    [old], [new] = ([tag for tag in machine.stored("models") if tag in each.decode()] for each in (before, after))
    assert old != new
    assert old == newest


def test_a_bento_takes_the_place_of_the_code(machine: Machine) -> None:
    with serving("service:svc", BENTOML_HOME=str(machine.home)) as server:
        port = server.url.rpartition(":")[2]
        with rolling_back("WHAT=bento", f"PORT={port}"):
            assert server.process.wait(60) == 0
            assert answered(server.url)


def test_where_nothing_serves_it_starts_what_make_serve_starts(machine: Machine) -> None:
    port = free_port()
    with rolling_back(f"PORT={port}", BENTOML_HOME=str(machine.home)) as rollback:
        answered(f"http://127.0.0.1:{port}")
        [started] = psutil.Process(rollback.pid).children()
        words, environment = started.cmdline(), started.environ()
    makefile = (PROJECT / "Makefile").read_text()
    variable, _, serve = next(line for line in makefile.splitlines() if "$(BIN)/bentoml serve" in line).partition(" ")
    name, _, value = variable.strip().partition("=")
    assert words[2:] == serve.replace("$(PORT)", str(port)).split()[1:]
    assert value == f"$${{{name}:-{environment[name]}}}"


LISTENER = """
import os, signal, socket, sys, time
if "STUBBORN" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "--user" in sys.argv:
    os.setuid(int(sys.argv[sys.argv.index("--user") + 1]))
listening = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
print("listening", flush=True)
time.sleep(300)
"""


@contextmanager
def listening(script: Path, *words: str, environment: dict[str, str] | None = None) -> Iterator[int]:
    """A process that looks like `bentoml serve` if its script is named so; gives its port."""
    script.write_text(LISTENER)
    port = free_port()
    command = [sys.executable, str(script), *words, "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield port
            assert process.poll() is None, "it was stopped"
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "words", "environment", "sentence"),
    [
        ("nginx", ["serve"], None, "is no `bentoml serve`; stop it, or name another port"),
        ("bentoml", ["serve", "credit_risk_classifier:some"], None, "serves a bento, which holds its model"),
        ("bentoml", ["serve"], {}, "can't be read; stop it, and start the next one with its environment"),
    ],
    ids=["another program", "a bento holds its model", "no environment"],
)
def test_it_refuses_before_anything_is_stopped(
    machine: Machine, tmp_path: Path, name: str, words: list[str], environment: dict[str, str] | None, sentence: str
) -> None:
    if environment is None:
        environment = {"BENTOML_HOME": str(machine.home), "CREDIT_RISK_API_KEYS": KEYS}
    newest = latest(machine, "models", "credit_risk_model")
    with listening(tmp_path / name, *words, environment=environment) as port:
        result = machine.run("--port", str(port), module="deploy.rollback")
        assert_refused(result, f"port {port}", sentence)
        assert KEYS not in result.stderr
    assert latest(machine, "models", "credit_risk_model") == newest


def test_a_server_that_does_not_stop_is_named_and_the_latest_stays(machine: Machine, tmp_path: Path) -> None:
    newest = latest(machine, "models", "credit_risk_model")
    environment = {"BENTOML_HOME": str(machine.home), "STUBBORN": "1"}
    environment["CREDIT_RISK_DRAIN_SECONDS"] = str(1 - SECONDS_TO_END)  # no real server takes it
    with listening(tmp_path / "bentoml", "serve", environment=environment) as port:
        result = machine.run("--port", str(port), module="deploy.rollback")
    assert result.returncode == 1
    assert f"Error: the server on port {port} (process " in result.stderr
    assert "has not stopped within 1 s; kill it" in result.stderr
    assert latest(machine, "models", "credit_risk_model") == newest


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of another user")
@pytest.mark.parametrize("who", ["the server", "the caller"])
def test_another_users_server_is_left_alone(machine: Machine, tmp_path: Path, who: str) -> None:
    newest = latest(machine, "models", "credit_risk_model")
    words = ["serve", "--user", "65534"] if who == "the server" else ["serve"]
    become = "" if who == "the server" else "os.setuid(65534); "
    with listening(tmp_path / "bentoml", *words, environment={"BENTOML_HOME": str(machine.home)}) as port:
        script = f"import os; from deploy.rollback import rollback; {become}rollback()"
        result = subprocess.run(
            [sys.executable, "-c", script, "--port", str(port)],
            cwd=PROJECT,
            env=user_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert_refused(result, f"what listens on port {port} can't be read, as it runs as another user")
    assert latest(machine, "models", "credit_risk_model") == newest


@contextmanager
def rolling_back(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`make rollback` from a shell that knows nothing of the server, ended with what it serves afterwards."""
    with subprocess.Popen(
        ["make", "rollback", *arguments],
        cwd=PROJECT,
        env=user_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as rollback:
        try:
            yield rollback
        finally:
            os.killpg(rollback.pid, signal.SIGTERM)
            output, _ = rollback.communicate(timeout=80)
    assert b":latest is now " in output, output
    assert TOKEN.encode() not in output
    assert KEYS.encode() not in output


def decided(url: str) -> bytes:
    """What a caller with a key is answered."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/classify", GOOD["nulls"], headers), timeout=10
    ) as answer:
        body: bytes = answer.read()
        return body


def answered(url: str, seconds: float = 60) -> bytes:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return decided(url)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("no server answers")
