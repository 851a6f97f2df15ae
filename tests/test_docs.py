"""The docs say what is so: tables are those of the results and the code, versions agree, and links lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from bench.portfolios import projection
from credit_risk import __version__
from tests.conftest import PROJECT

DOCS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *PROJECT.glob("docs/**/*.md")]
DOCS += [PROJECT / folder / "README.md" for folder in ("bench", "bench/architectures", "data", "examples/clients")]
RESULTS = PROJECT / "bench" / "results"
COMPARED = ("throughput", "accountable", "batching", "sockets", "model-server", "features")


def results(experiment: str) -> Any:
    return json.loads((RESULTS / f"{experiment}.json").read_text())


def test_what_is_made_by_a_command_is_up_to_date() -> None:
    files = [str(path) for path in DOCS if "[[[cog" in path.read_text()]
    assert len(files) >= 4
    command = [str(Path(sys.executable).with_name("cog")), "--check", "-P", "-I", str(PROJECT), *files]
    check = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert check.returncode == 0, f"run `make docs`\n{check.stdout}{check.stderr}"


@pytest.mark.parametrize("experiment", [*COMPARED, "large-batches", "open-loop", "containers", "portfolios"])
def test_the_machine_of_every_result_is_named(experiment: str) -> None:
    assert "cores of" in results(experiment)["machine"]["processor"]


@pytest.mark.parametrize("experiment", COMPARED)
def test_nothing_failed_while_it_was_measured(experiment: str) -> None:
    assert all(row["non_2xx"] == row["failed"] == 0 for row in results(experiment)["rows"])


def test_the_projection_is_that_of_the_measured_points() -> None:
    rows = results("portfolios")["rows"]
    measured = [row for row in rows if row["name"].startswith("Ray")]
    assert [row for row in rows if row["name"] == "projected"] == projection(measured)


def test_overload_gave_no_wrong_answer() -> None:
    assert all(row["wrong"] == 0 for row in results("open-loop")["rows"])


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 215


def test_the_changelog_is_of_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", released[0])


def test_git_does_not_show_what_the_commands_of_the_docs_write() -> None:
    scripts = [script for path in DOCS for script in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)]
    named = re.findall(r"(?:--output |-o |TO=|--api-keys-file |\$PWD/)([^\s:\"]+)", "\n".join(scripts))
    assert {"decisions.parquet", "exports/", "keys.json", "decisions"} <= set(named)
    # Beside those: what is named elsewhere in the docs, and what a command names itself.
    unnamed = ["plot.png", "decisions.rejects.csv", "credit_risk_classifier-1.bento", "credit_risk_model-1.bentomodel"]
    unnamed += ["credit_risk_classifier-1.bento.sha256", "data/CreditScoring.csv"]
    for name in [*named, *unnamed]:
        file = name if "." in name else f"{name.rstrip('/')}/file"
        command = ["git", "check-ignore", "--quiet", file]
        is_ignored = subprocess.run(command, cwd=PROJECT, check=False).returncode == 0
        assert is_ignored or file == "data/applications.csv", f"{file} shows up in git status"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_to_a_file(path: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
        assert path.parent.joinpath(link).exists(), link


def test_every_decision_is_listed() -> None:
    folder = PROJECT / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}[^)]*)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_no_document_names_this_machine_or_a_package_host() -> None:
    for path in DOCS:
        assert not re.search(r"/work/|/root/|pypi\.org|npmjs", path.read_text()), path


def test_what_is_imported_is_declared() -> None:
    """Of the distributions that provide the modules which the package and its scripts import."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[ ;]", name)[0].lower().replace("_", "-") for name in project["dependencies"]}
    roots = {
        name.partition(".")[0]
        for path in [*PROJECT.glob("credit_risk/**/*.py"), PROJECT / "service.py", PROJECT / "train.py"]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    provided = packages_distributions()
    for root in roots - sys.stdlib_module_names - {"credit_risk", "service", "ray"}:  # an extra, which is not installed
        names = {name.lower().replace("_", "-") for name in provided[root]}
        assert names & declared, f"{root} comes from {names}, of which pyproject.toml declares none"


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        (["python3.11", "python3.13"], "python3.11"),
        (["python3.12", "python3.13"], "python3.12"),
        (["python3.13"], "python3.13"),
        ([], ""),
    ],
)
def test_make_takes_the_first_python_that_is_there(present: list[str], taken: str, tmp_path: Path) -> None:
    for name in present:
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3.10").write_text("#!/bin/sh\nexit 0\n")
    command = ["/usr/bin/make", "--no-print-directory", "-n", "environment/uv", "VENV=environment"]
    shown = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"PATH": f"{tmp_path}"}, capture_output=True, text=True, check=True
    ).stdout
    assert f'test -n "{taken}"' in shown
    assert taken == "" or f"{taken} -m venv environment" in shown
