"""The commands of the README and the docs, run as they are written, in a clone with a model store of its own.

Three things differ from a reader's machine: the port is free, the virtual environment is that of the test run, and the
commands that run these tests or need minutes are checked by name only.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import PROJECT, copy_project, user_environment
from tests.e2e.conftest import free_port

EXECUTED = ("README.md", "docs/api.md", "docs/settings.md", "docs/training.md", "docs/tools.md", "data/README.md")


def blocks_of(name: str) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", (PROJECT / name).read_text(), re.DOTALL)


README = (PROJECT / "README.md").read_text()
BLOCKS = [block for name in EXECUTED for block in blocks_of(name)]
COMMANDS = list(dict.fromkeys(block for language, block in BLOCKS if language == "sh"))
ANSWERS = {command: answer for (_, command), (language, answer) in pairwise(BLOCKS) if language == "json"}
UNREPEATABLE = ("decision_id", "model")


@dataclass(frozen=True)
class Reader:
    """Follows the README in a folder of its own."""

    folder: Path
    home: Path  # of the model store
    port: int

    @classmethod
    def arriving(cls, folder: Path) -> Reader:
        """One with a clone of the project and nothing else."""
        clone = folder / "clone"
        copy_project(clone)
        for words in (["init", "--quiet"], ["add", "."]):
            subprocess.run(["git", *words], cwd=clone, check=True)
        return cls(clone, folder / "bentoml", free_port())

    @property
    def log(self) -> Path:
        return self.home.with_name("server.log")

    @property
    def environment(self) -> dict[str, str]:
        return user_environment() | {"BENTOML_HOME": str(self.home), "PORT": str(self.port)}

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on, such as a server. What it prints is in `log`."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                self.words(command),
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, command: str) -> str:
        finished = subprocess.run(
            self.words(command),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def words(self, command: str) -> list[str]:
        here = re.sub(r"(localhost:|--port )3000", rf"\g<1>{self.port}", command)
        return ["bash", "-euo", "pipefail", "-c", here]

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://localhost:{self.port}/readyz", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader who has done what the README opens with."""
    reader = Reader.arriving(tmp_path_factory.mktemp("readme"))
    server = reader.start(COMMANDS[0])
    reader.wait_until_ready(server)
    yield reader
    reader.stop(server)


def starting(words: str) -> list[str]:
    return [command for command in COMMANDS if command.startswith(words)]


def test_it_opens_with_the_command_and_a_real_answer() -> None:
    assert COMMANDS[0] == "make serve\n"
    assert COMMANDS[1].startswith("curl")


@pytest.mark.parametrize("command", starting("curl"))
def test_the_answers_are_those_that_are_shown(reader: Reader, command: str) -> None:
    several = [json.loads(ANSWERS[command]), json.loads(reader.run(command))]
    shown, answered = ([answer] if isinstance(answer, dict) else answer for answer in several)
    for one, other in zip(shown, answered, strict=True):
        for field in UNREPEATABLE:
            assert (field in one) == (field in other)
        assert {k: v for k, v in other.items() if k not in UNREPEATABLE} == {
            k: v for k, v in one.items() if k not in UNREPEATABLE
        }


def test_asking_again_with_the_same_key_gives_the_same_bytes(reader: Reader) -> None:
    [command] = [command for command in starting("curl") if "Idempotency-Key" in command]
    assert reader.run(command) == reader.run(command)


def test_a_file_is_decided_in_the_background(reader: Reader) -> None:
    [command] = [command for command in starting("python -m data.generate") if "/jobs" in command]
    printed = reader.run(command)
    assert "event: end" in printed
    shown = re.search(r"^data: (.*), \.\.\.}$", README, re.MULTILINE)
    assert shown is not None
    told = json.loads(printed[printed.index("data: ") + len("data: ") :])
    expected = json.loads(f"{shown[1]}}}")
    assert {name: told[name] for name in expected if name != "id"} == {k: v for k, v in expected.items() if k != "id"}
    with (reader.folder / "applications.csv").open() as file:
        first = [file.readline() for _ in range(501)]
    curl = "curl -s localhost:3000/classify_table -H 'Content-Type: text/csv' --data-binary @-"
    answers = json.loads(reader.run(f"{curl} <<'END'\n{''.join(first)}END"))
    with (reader.folder / "decisions.csv").open(newline="") as file:
        decided = list(csv.DictReader(file))
    assert len(decided) == 100_000
    for answer, row in zip(answers, decided, strict=False):
        assert answer["Status"] == row["Status"]
        assert str(answer["probability_of_default"]) == row["probability_of_default"]


def test_the_examples_in_python_run(reader: Reader) -> None:
    """Those with pandas are run by tests/notebook."""
    examples = [block for language, block in BLOCKS if language == "python" and "pandas" not in block]
    assert len(examples) == 1
    for example in examples:
        printed = reader.run(f"python - <<'EOF'\n{example}print(decisions)\nEOF")
        assert "'probability_of_default': 0.4043" in printed


def test_training_and_load_run(reader: Reader) -> None:
    [train] = starting("make train")
    assert "Saved credit_risk_model:" in reader.run(train)
    [load] = starting("make load")
    assert " 0(0.00%)" in reader.run(load)


def test_what_is_done_beside_the_service_runs(reader: Reader) -> None:
    reader.run(COMMANDS[1])
    [replay] = starting("python -m credit_risk replay")
    assert "all identical" in reader.run(replay.replace("~/bentoml", str(reader.home)))
    ids = {json.loads(ANSWERS[c])["decision_id"]: json.loads(reader.run(c))["decision_id"] for c in COMMANDS[1:3]}
    sheet, notice = starting("python -m credit_risk decision")
    [review] = starting("python -m credit_risk review")
    for shown, decided in ids.items():
        sheet, notice = sheet.replace(shown, decided), notice.replace(shown, decided)
        review = review.replace(shown, decided)
    assert "R09  +1.5051            Unable to verify income" in reader.run(sheet)
    assert "Recorded review " in reader.run(review)
    reader.run(notice)
    assert "  - Adverse payment records" in (reader.folder / "notice.txt").read_text()
    [check] = starting("python -m credit_risk policy check")
    assert "approved" in reader.run(check).lower()
    [score] = [command for command in starting("python -m data.generate") if " score " in command]
    assert "10,000 applications decided" in reader.run(score)
    new_key, limited = starting("python -m credit_risk new-key")
    assert 'CREDIT_RISK_API_KEYS=\'{"branch": ' in reader.run(new_key)
    assert '"requests_per_second": 50, "batches": 1}' in reader.run(limited)


def test_synthetic_applications_are_drawn_as_the_readme_of_the_data_says(reader: Reader) -> None:
    bundled = reader.folder / "data" / "applications.csv"
    bundled.unlink()
    [draw] = starting("python data/generate.py")
    reader.run(draw)
    assert bundled.read_bytes() == (PROJECT / "data" / "applications.csv").read_bytes()
    with (reader.folder / "million.csv").open() as million:
        assert sum(1 for _ in million) == 1_000_001


def test_overrides_without_a_file_take_effect(reader: Reader) -> None:
    [export] = starting("export BENTOML_CONFIG_OVERRIDES")
    other = replace(reader, port=free_port())
    server = other.start(f"{export}exec bentoml serve --port 3000")
    other.wait_until_ready(server)
    other.stop(server)
    assert "max_batch_size=200" in other.log.read_text()


def test_building_and_serving_the_bento_run(reader: Reader) -> None:
    [build] = starting("bentoml build")
    assert "Successfully built" in reader.run(build)
    other = replace(reader, port=free_port())
    bento = "bentoml serve credit_risk_classifier:latest"
    assert f"`{bento}`" in README
    for command in (*starting("bentoml serve"), f"{bento} --port 3000"):
        server = other.start(command)
        other.wait_until_ready(server)
        other.stop(server)


def test_no_command_leaves_a_file_that_git_shows(reader: Reader) -> None:
    """Of those that ran above."""
    assert reader.run("git ls-files --others --exclude-standard") == ""


def test_every_command_is_run_here_or_elsewhere() -> None:
    run_here = {*starting("curl"), *starting("make train"), *starting("make load"), *starting("bentoml"), COMMANDS[0]}
    run_here |= {*starting("python"), *starting("export")}
    assert [command for command in COMMANDS if command not in run_here] == [
        "make image\n",  # by the container tests
        "make bench\n",
        "make check\nmake test\n",
    ]


FILES = (*EXECUTED, "docs/deploy.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml")
DOCUMENTS = {name: (PROJECT / name).read_text() for name in FILES}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_target_and_module_it_names_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    text = DOCUMENTS[name]
    scripts = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if name.endswith(".md") else [text]
    named = set(re.findall(r"`make ([a-z-]+)", text))
    named |= {target for script in scripts for target in re.findall(r"(?:^|run: )make ([a-z-]+)", script, re.MULTILINE)}
    assert named <= targets
    for command in set(re.findall(r"python -m ([a-z_.]+)", text)):
        run = [sys.executable, "-m", command, "--help"]
        assert subprocess.run(run, cwd=PROJECT, capture_output=True, check=False).returncode == 0, command
