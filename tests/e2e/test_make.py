"""The targets of the Makefile, as a shell runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, user_environment

MAKEFILE = (PROJECT / "Makefile").read_text()
WITH_ARGS = re.findall(r"^([a-z-]+):.*\n\t.*\$\(ARGS\)", MAKEFILE, re.MULTILINE)
# They run nothing but pytest, which takes seconds for its help. One of them, `test`, is run all the same.
ONLY_PYTEST = re.findall(
    r"^(coverage|[a-z-]+-test):.*\n\t\$\(BIN\)/python -m pytest .*\$\(ARGS\)\n\n", MAKEFILE, re.MULTILINE
)


def test_the_targets_that_pass_arguments_on_are_found() -> None:
    assert len(WITH_ARGS) == MAKEFILE.count("$(ARGS)\n") >= 7


@pytest.mark.parametrize("target", ONLY_PYTEST)
def test_the_other_targets_of_tests_pass_the_question_on(target: str) -> None:
    installed = [option for name in ("dev", "bench", "notebook") for option in ("-o", f"{sys.prefix}/installed-{name}")]
    command = ["make", "--no-print-directory", "-n", *installed, target, "ARGS=--help"]
    shown = subprocess.run(command, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=True)
    [line] = shown.stdout.splitlines()
    assert line.startswith(f"{sys.prefix}/bin/python -m pytest ")
    assert line.endswith(" --help")


@pytest.mark.parametrize("target", [target for target in WITH_ARGS if target not in ONLY_PYTEST])
def test_asking_for_help_does_nothing_else(target: str, tmp_path: Path) -> None:
    """`-o` takes the benchmarks' packages for installed: their help needs none of them."""
    command = ["make", "-o", f"{sys.prefix}/installed-bench", target, "ARGS=--help"]
    environment = user_environment() | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    shown = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "usage: " in shown.stdout.lower()
    assert not list(tmp_path.glob("bentoml/models/*"))
    assert not list(tmp_path.glob("bentoml/bentos/*"))


def test_what_an_image_is_built_with_is_not_for_training(tmp_path: Path) -> None:
    command = ["make", "image", "ARGS=--network host", "DATA=nowhere.csv"]
    environment = user_environment() | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    shown = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert "nowhere.csv can't be read" in shown.stderr
