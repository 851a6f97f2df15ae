"""Which model becomes the latest: train.py through its command line, into model stores of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from credit_risk.training.calibration import Recalibration
from credit_risk.training.gate import faults_of
from credit_risk.training.incumbent import Contest
from credit_risk.training.resampling import Interval
from tests.conftest import PROJECT, train
from tests.models import editing, seal

QUICK = ("--folds", "3", "--repeats", "1")

RIGHT = Recalibration(intercept=0.0, slope=1.0, p_value=0.9, correction=0.001)
UNOPPOSED = Contest("there is none to compare with")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the bundled rows, because each test trains a model."""
    file = tmp_path_factory.mktemp("data") / "applications.csv"
    lines = (PROJECT / "data" / "applications.csv").read_text().splitlines()
    file.write_text("\n".join(lines[:801]))
    return file


@pytest.fixture(scope="module")
def store(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose latest model was trained on these rows."""
    home = tmp_path_factory.mktemp("store")
    first = train("--data", str(data), *QUICK, home=home)
    assert first.returncode == 0, first.stderr
    assert "The first model of this store: there is none to compare with" in first.stdout
    return home


@pytest.fixture
def home(store: Path, tmp_path: Path) -> Path:
    """A copy of the store."""
    return Path(shutil.copytree(store, tmp_path / "home"))


def latest(home: Path) -> str:
    return (home / "models" / "credit_risk_model" / "latest").read_text()


def candidates(home: Path) -> list[Path]:
    return [path for path in home.glob("models/credit_risk_candidate/*") if path.is_dir()]


def record(home: Path) -> list[dict[str, Any]]:
    lines = (home / "models" / "credit_risk_model.promotions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def edit_incumbent(home: Path, edit: Callable[[dict[str, Any]], None]) -> str:
    folder = home / "models" / "credit_risk_model" / latest(home)
    with editing(folder / "model.yaml") as content:
        edit(content["metadata"])
    seal(folder)
    return folder.name


def raise_aucs(by: float) -> Callable[[dict[str, Any]], None]:
    def edit(metadata: dict[str, Any]) -> None:
        figures = metadata["cross_validation"]
        figures["aucs"] = [auc + by for auc in figures["aucs"]]

    return edit


def test_a_better_model_becomes_the_latest(home: Path, data: Path) -> None:
    old = edit_incumbent(home, raise_aucs(-0.02))
    result = train("--data", str(data), *QUICK, home=home)
    assert result.returncode == 0, result.stderr
    assert "AUC +0.0200 (95 % interval +0.0200 to +0.0200); the same rows and folds" in result.stdout
    assert latest(home) != old
    assert f"Saved credit_risk_model:{latest(home)}, now the latest" in result.stdout
    [first, second] = record(home)
    assert (first["from"], first["to"], second["from"], second["to"]) == (None, old, old, latest(home))
    assert second["why"] == "it passed the release gate of train.py"
    assert second["by"]
    assert second["faults"] == []


def test_a_worse_model_is_a_candidate_unless_it_is_forced(home: Path, data: Path) -> None:
    old = edit_incumbent(home, raise_aucs(0.02))
    worse = train("--data", str(data), *QUICK, home=home)
    assert worse.returncode == 1
    fault = f"its AUC is lower than that of credit_risk_model:{old} by 0.0200 (95 % interval 0.0200 to 0.0200)"
    [candidate] = candidates(home)
    assert f"saved as the candidate credit_risk_candidate:{candidate.name} and not the latest" in worse.stderr
    assert fault in worse.stderr
    assert f"models promote {candidate.name} --why" in worse.stderr
    assert (latest(home), len(record(home))) == (old, 1)
    assert (candidate / "report" / "model-card.html").is_file()
    forced = train("--data", str(data), *QUICK, "--force", "The incumbent was edited", home=home)
    assert forced.returncode == 0, forced.stderr
    assert latest(home) not in (old, candidate.name)
    assert (record(home)[-1]["why"], record(home)[-1]["faults"]) == ("The incumbent was edited", [fault])


def test_a_model_with_age_is_a_candidate_and_no_error(home: Path, data: Path) -> None:
    old = latest(home)
    result = train("--data", str(data), *QUICK, "--protected", "include", home=home)
    assert result.returncode == 0, result.stderr
    [candidate] = candidates(home)
    said = f"The model is not released: it is saved as the candidate credit_risk_candidate:{candidate.name}"
    assert said in result.stdout
    assert "because it uses age and marital status (--protected include)" in result.stdout
    assert latest(home) == old
    saved = yaml.safe_load((candidate / "model.yaml").read_text())
    assert {"age", "marital=married"} <= set(saved["metadata"]["features"])
    assert saved["labels"]["protected"] == "include"


def test_the_recipe_of_a_model_of_other_rows_is_trained_on_these(home: Path, data: Path) -> None:
    def edit(metadata: dict[str, Any]) -> None:
        metadata |= {"rounds": 3, "data_sha256": "0" * 64, "data_source": "real"}

    old = edit_incumbent(home, edit)
    result = train("--data", str(data), *QUICK, home=home)
    assert result.returncode == 0, result.stderr
    said = "its recipe, trained on these folds; it was trained on other data (real, sha256 000000000000)"
    assert said in result.stdout
    assert f"Compared with credit_risk_model:{old}: AUC +0." in result.stdout


def test_a_model_with_the_same_recipe_is_no_better(home: Path, data: Path) -> None:
    result = train("--data", str(data), *QUICK, "--seed", "2", home=home)
    assert "AUC +0.0000 (95 % interval +0.0000 to +0.0000); it has the same recipe" in result.stdout


def test_a_model_of_another_version_can_not_be_compared_and_that_is_said(home: Path, data: Path) -> None:
    def edit(metadata: dict[str, Any]) -> None:
        metadata |= {"features": [*metadata["features"], "horoscope"], "seed": 5}

    old = edit_incumbent(home, edit)
    result = train("--data", str(data), *QUICK, home=home)
    assert result.returncode == 0, result.stderr
    said = f"Not compared with credit_risk_model:{old}: another version made it, with other features (horoscope)"
    assert said in result.stdout
    assert latest(home) != old


def test_a_latest_model_that_was_changed_can_not_be_compared_and_that_is_said(home: Path, data: Path) -> None:
    (home / "models" / "credit_risk_model" / latest(home) / "report" / "model-card.html").write_text("")
    result = train("--data", str(data), *QUICK, "--min-auc", "0.99", home=home)
    assert result.returncode == 1
    assert "Not compared with the latest model: " in result.stdout
    assert "report/model-card.html (the model card) was changed" in result.stdout
    assert " is below --min-auc 0.99" in result.stderr


def test_nothing_is_latest_where_there_is_only_a_candidate(data: Path, tmp_path: Path) -> None:
    assert train("--data", str(data), *QUICK, "--min-auc", "0.99", home=tmp_path).returncode == 1
    assert len(candidates(tmp_path)) == 1
    assert not (tmp_path / "models" / "credit_risk_model").exists()
    assert not list(tmp_path.glob("models/*.jsonl"))


@pytest.mark.parametrize(
    ("p_value", "correction", "refused"), [(0.01, 0.02, True), (0.01, 0.002, False), (0.06, 0.02, False)]
)
def test_the_gate_refuses_wrong_probabilities(p_value: float, correction: float, refused: bool) -> None:
    found = Recalibration(0.1, 0.8, p_value, correction)
    faults = faults_of(0.85, found, UNOPPOSED, min_auc=0.8, protected=False)
    assert bool(faults) == refused
    assert not refused or "the slope is 0.800" in faults[0]


@pytest.mark.parametrize(("high", "lost"), [(-0.0001, True), (0.0001, False)])
def test_the_gate_refuses_what_is_worse_beyond_chance(high: float, lost: bool) -> None:
    contest = Contest("", "credit_risk_model:old", Interval(-0.01, -0.02, high))
    assert bool(faults_of(0.85, RIGHT, contest, min_auc=0.8, protected=False)) == lost
