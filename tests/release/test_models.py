"""`python -m credit_risk models`, in model stores of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from credit_risk.model import CANDIDATE_NAME, MODEL_NAME
from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.model.test_releases import put
from tests.models import editing, seal


@pytest.fixture
def home(model: StoredModel, tmp_path: Path) -> Path:
    """A store with a released model, and a candidate that is worse in every fold and uses age."""
    put(model, tmp_path / "models", MODEL_NAME, "old")
    folder = put(model, tmp_path / "models", CANDIDATE_NAME, "new")
    with editing(folder / "model.yaml") as content:
        figures = content["metadata"]["cross_validation"]
        figures["aucs"] = [auc - 0.02 for auc in figures["aucs"]]
        figures["mean"]["auc"] -= 0.02
        content["metadata"]["gate"] = ["it uses age"]
    seal(folder)
    return tmp_path


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BENTOML_HOME": str(home), "COLUMNS": "200"}
    command = [sys.executable, "-m", "credit_risk", "models", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def row_of(shown: str, version: str) -> list[str]:
    [row] = [line for line in shown.splitlines() if line.startswith(f"│ {version}")]
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_the_list_tells_what_is_latest_and_what_is_against_a_candidate(home: Path) -> None:
    shown = run(home, "list").stdout
    old, new = row_of(shown, "old"), row_of(shown, "new")
    assert (old[1], old[-1]) == ("latest", "")
    assert (new[1], new[-1]) == ("candidate", "it uses age")
    assert old[3:5] == ["synthetic", "4,455"]
    assert "old became the latest without a promotion on record" in shown


def test_promoting_moves_the_latest_and_goes_on_record(home: Path) -> None:
    promoted = run(home, "promote", "new", "--why", "Reviewed by the committee", "--by", "Ann")
    assert promoted.returncode == 0, promoted.stderr
    assert "credit_risk_model:latest is now new; it was old" in promoted.stdout
    assert "The release gate had against it: it uses age" in promoted.stdout
    shown = run(home, "list").stdout
    assert (row_of(shown, "new")[1], row_of(shown, "old")[1]) == ("latest", "released")
    [line] = [line for line in shown.splitlines() if "Ann" in line]
    assert "Reviewed by the committee (in spite of: it uses age)" in line
    assert "without a promotion" not in shown


def test_promoting_needs_a_reason_and_a_model_that_is_there(home: Path) -> None:
    assert "Missing option '--why'" in run(home, "promote", "new").stderr
    refused = run(home, "promote", "nowhere", "--why", "x")
    assert refused.returncode == 1
    assert "there is no model of version nowhere; see `python -m credit_risk models list`" in refused.stderr
    assert not list(home.glob("models/*.jsonl"))


def test_a_candidate_that_was_changed_is_not_promoted(home: Path) -> None:
    (home / "models" / CANDIDATE_NAME / "new" / "report" / "model-card.html").write_text("The best model of all")
    refused = run(home, "promote", "new", "--why", "x")
    assert refused.returncode == 1
    assert "report/model-card.html (the model card) was changed" in refused.stderr
    assert (home / "models" / MODEL_NAME / "latest").read_text() == "old"
    assert "Left out: model credit_risk_candidate:new is not what was saved" in run(home, "list").stdout


def test_comparing_on_the_same_folds_has_an_interval(home: Path) -> None:
    compared = run(home, "compare", "new")
    assert compared.returncode == 0, compared.stderr
    said = "AUC of new less that of old, on the same folds: -0.0200 (95 % interval -0.0200 to -0.0200)"
    assert said in " ".join(compared.stdout.split())
    assert "calibration slope" in compared.stdout


def test_comparing_on_other_folds_has_none(home: Path) -> None:
    folder = home / "models" / CANDIDATE_NAME / "new"
    with editing(folder / "model.yaml") as content:
        content["metadata"]["seed"] = 2
    seal(folder)
    assert "no interval" in run(home, "compare", "new", "old").stdout


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path) -> None:
    assert "There is no model in the store" in run(tmp_path, "list").stdout
