"""`from credit_risk import decide, load, train`, with everything that they take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import credit_risk
from credit_risk import DataError, Model, ModelError, ReleaseError, decide, load, train
from credit_risk.contract.application import EXAMPLE
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.deciders import CATALOGUE, POLICY, answers_of
from tests.models import folder_of
from tests.policies import ALL_RULES

BUNDLED = PROJECT / "data" / "applications.csv"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def loaded(model: StoredModel) -> Model:
    return load(model.tag)


@pytest.fixture(scope="module")
def rows(synthetic: Dataset) -> list[Row]:
    return [application.model_dump() for application in [*synthetic.applications[:500], EXAMPLE]]


@pytest.fixture(scope="module")
def answers(model: StoredModel, synthetic: Dataset) -> list[Row]:
    """What the service answers, without the id of a decision."""
    found = [json.loads(answer) for answer in answers_of(model, [*synthetic.applications[:500], EXAMPLE])]
    return [{name: value for name, value in answer.items() if name != "decision_id"} for answer in found]


def as_columns(answer: Row) -> Row:
    """An answer as a row of a table of decisions."""
    answer = {name: value for name, value in answer.items() if name != "decision_id"}
    reasons = {
        "reasons": [r["code"] for r in answer["reasons"]],
        "reason_texts": [r["text"] for r in answer["reasons"]],
    }
    return {**answer, **reasons, "warnings": [w["code"] for w in answer["warnings"]], "catalogue": CATALOGUE.version}


def test_importing_the_package_imports_nothing_else() -> None:
    heavy = "bentoml", "xgboost", "pandas", "numpy", "pyarrow", "sklearn", "pydantic"
    code = f"import credit_risk, sys; print(sorted(set({heavy}) & set(sys.modules)), dir(credit_risk))"
    found = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("[] [")
    assert all(name in found.stdout for name in credit_risk.__all__)


def test_what_is_not_there_is_named(loaded: Model) -> None:
    with pytest.raises(AttributeError, match="no attribute undecided"):
        credit_risk.undecided  # noqa: B018
    assert repr(loaded).endswith("trained on 4,455 synthetic applications>")


def test_dictionaries_are_answered_as_by_the_service(loaded: Model, rows: list[Row], answers: list[Row]) -> None:
    assert decide(loaded, rows) == answers
    assert decide(loaded, tuple(rows)) == answers
    assert decide(loaded, rows[-1]) == answers[-1]
    assert decide(None, rows[-1]) == answers[-1]
    assert decide(loaded, []) == []


def test_scalars_of_numpy_are_numbers(loaded: Model, answers: list[Row]) -> None:
    numbers = {
        name: np.float32(value) if isinstance(value, float) else value for name, value in EXAMPLE.model_dump().items()
    }
    assert decide(loaded, numbers | {"time": np.int64(EXAMPLE.time)}) == answers[-1]


def test_a_table_gives_a_table(loaded: Model, rows: list[Row], answers: list[Row]) -> None:
    table = pa.Table.from_pylist([row | {"branch": 7} for row in rows])
    assert decide(loaded, table).to_pylist() == [as_columns(answer) for answer in answers]
    assert len(decide(loaded, table.slice(0, 0))) == 0


def test_the_policy_is_the_callers(loaded: Model, model: StoredModel, rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(ALL_RULES.model_dump_json())
    expected = json.loads(answers_of(model, [EXAMPLE], ALL_RULES)[0])
    for policy in (path, str(path), ALL_RULES):
        decision = decide(loaded, rows[-1], policy)
        assert decision["reasons"] == expected["reasons"]
        assert decision["policy"] == ALL_RULES.version != POLICY.version


@pytest.mark.parametrize("make", [list, pa.Table.from_pylist], ids=["list", "table"])
def test_each_fault_is_named_with_its_fix_and_without_its_value(
    loaded: Model, rows: list[Row], make: Callable[[list[Row]], Any]
) -> None:
    wrong = [rows[0], rows[1] | {"home": "Castle"}, rows[2] | {"age": 1234, "time": 0}]
    with pytest.raises(
        DataError, match=r"no application was decided, because of 3 faults: position 1, home: must"
    ) as refused:
        decide(loaded, make(wrong))
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "position 1, home",
        "position 2, time",
        "position 2, age",
    ]
    assert "Castle" not in str(refused.value)
    assert "1234" not in str(refused.value)


@pytest.mark.parametrize(
    ("applications", "message"),
    [
        (7, "of the type int; give a dictionary, a list"),
        ("applications.csv", "of the type str; give a dictionary, a list"),
        ({"home": object()}, "position 0, as a whole: holds what JSON can't; give numbers, text and None"),
        ({}, "position 0, seniority: required; send it"),
        (pa.table({"home": ["rent"]}), "the table of applications lacks the column seniority"),
        (pa.table([[1], [1]], names=["age", "age"]), "the table of applications lacks the column seniority"),
    ],
)
def test_what_holds_no_applications_is_refused(loaded: Model, applications: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decide(loaded, applications)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="there is no model credit_risk_model:nowhere"):
        load("credit_risk_model:nowhere")


def test_a_trained_model_is_that_of_the_command(loaded: Model, model: StoredModel, rows: list[Row]) -> None:
    trained = train(BUNDLED, folds=2, repeats=1)
    assert trained.tag == "credit_risk_model:unsaved"
    assert trained.metadata["booster_sha256"] == model.sha256
    decisions = (decide(chosen, rows) for chosen in (trained, loaded))
    for ours, theirs in zip(*decisions, strict=True):
        assert {**ours, "model": ""} == {**theirs, "model": ""}


def labelled() -> pa.Table:
    return pyarrow.csv.read_csv(BUNDLED)


@pytest.mark.parametrize(
    "data",
    [
        lambda: labelled(),
        lambda: labelled().to_pylist(),
    ],
    ids=["table", "list"],
)
def test_tables_are_trained_on_as_files_are(model: StoredModel, data: Callable[[], Any]) -> None:
    trained = train(data(), folds=2, repeats=1, source="synthetic")
    assert trained.metadata["booster_sha256"] == model.sha256
    assert trained.metadata["data_source"] == "synthetic"


def test_parameters_are_given_by_name_or_by_file(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("max_depth: 3\nnum_boost_round: 20\n")
    steps: list[int] = []
    by_name = train(
        BUNDLED, params={"max_depth": 3, "n_estimators": 20}, folds=3, repeats=1, advance=lambda: steps.append(1)
    )
    by_file = train(BUNDLED, params=tmp_path / "params.yaml", folds=2, repeats=1)
    assert by_name.metadata["booster_sha256"] == by_file.metadata["booster_sha256"]
    assert by_name.metadata["parameters"]["max_depth"] == 3
    assert len(steps) == 3
    with pytest.raises(DataError, match="there is no maxdepth; there is max_depth"):
        train(BUNDLED, params={"maxdepth": 3})


def test_faults_of_a_table_are_those_of_a_file() -> None:
    rows = labelled().to_pylist()
    rows[3]["Age"] = 7
    with pytest.raises(DataError, match="the table has 1 problem") as refused:
        train(rows)
    assert refused.value.problems == ["line 5, column age: input should be greater than or equal to 18"]


def test_a_model_is_saved_only_if_asked_and_only_if_it_is_good_enough(model: StoredModel) -> None:
    def versions() -> set[Path]:
        return set(folder_of(model).parent.glob("*/"))

    before = versions()
    with pytest.raises(ReleaseError, match="not the latest, because AUC"):
        train(BUNDLED, params={"n_estimators": 1, "max_depth": 1}, folds=2, repeats=1, save=True)
    assert versions() == before
