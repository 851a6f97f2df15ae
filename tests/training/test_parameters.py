from __future__ import annotations

import re
from pathlib import Path

import pytest

from credit_risk.contract.errors import DataError
from credit_risk.training.parameters import Parameters
from credit_risk.training.recipe import PARAMETERS, ROUNDS
from tests.conftest import PROJECT


def read(folder: Path, content: str) -> Parameters:
    path = folder / "params.yaml"
    path.write_text(content)
    return Parameters.read(path)


def test_without_any_they_are_the_recipes() -> None:
    assert Parameters().over_the_recipe() == PARAMETERS
    assert Parameters().rounds == ROUNDS


def test_the_docs_name_every_parameter(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "training.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert read(tmp_path, example).over_the_recipe()["max_depth"] == 4
    for name in Parameters.model_fields:
        word = name.rstrip("_").removeprefix("colsample")
        assert f"{word}`" in text or f"{word}:" in text


@pytest.mark.parametrize(
    "content",
    [
        "max_depth: 4\neta: 0.1\nlambda: 2\nnum_boost_round: 100\n",
        '{"max_depth": 4, "learning_rate": 0.1, "reg_lambda": 2, "n_estimators": 100}',
    ],
    ids=["yaml", "json"],
)
def test_they_go_by_both_of_xgboosts_names(tmp_path: Path, content: str) -> None:
    given = read(tmp_path, content)
    assert given.over_the_recipe() == PARAMETERS | {"max_depth": 4, "eta": 0.1, "lambda": 2}
    assert given.rounds == 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("max_dept: 4", "there is no max_dept; there is max_depth"),
        (
            "objective: reg:squarederror",
            "objective can't be set: the service needs probabilities of default; remove it",
        ),
        ("monotone_constraints: [0]", "monotone_constraints can't be set: .* always hold; remove it"),
        ("device: cuda", "device can't be set: .*; remove it"),
        ("missing: 0", "missing can't be set: .*; remove it"),
        ("seed: 3", "seed can't be set: say --seed; remove it"),
        ("scale_pos_weight: 3", "it would raise every probability of default; remove it"),
        ("max_depth: 0", "max_depth: Input should be greater than or equal to 1"),
        ("max_depth: '4'", "max_depth: Input should be a valid integer"),
        ("eta: .nan", "eta: Input should be"),
        ("subsample: 0", "subsample: Input should be greater than 0"),
        ("eta: 0.1\nlearning_rate: 0.2", "learning_rate"),
        ("eta: 0.1\neta: 0.2", "eta is given more than once"),
        ("- eta", "write each parameter on a line, such as max_depth: 3"),
        ("", "write each parameter on a line"),
        ("eta: [", "is not YAML"),
    ],
)
def test_what_would_not_do_is_refused_with_the_fix(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_a_dictionary_is_refused_as_a_file_is() -> None:
    assert Parameters.of({"max_depth": 3}).over_the_recipe()["max_depth"] == 3
    with pytest.raises(DataError, match=r"the parameters are not valid: .*there is max_depth"):
        Parameters.of({"maxdepth": 3})
    with pytest.raises(DataError, match="the parameters are not valid: eta: Input should be"):
        Parameters.of({"eta": 7})
