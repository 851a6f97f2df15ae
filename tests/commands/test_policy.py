"""`policy check`: what is wrong with a policy, and what a right one does to applications with known outcomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import Rows, holdout_split
from tests.conftest import PROJECT

pytestmark = pytest.mark.usefixtures("trained")
DATA = PROJECT / "data" / "applications.csv"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["policy", "check", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rows_of(result: Result) -> dict[str, list[str]]:
    """The cells of the tables' rows, by their first cell."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def write(path: Path, rules: dict[str, dict[str, Any]], **cutoffs: float) -> Path:
    content = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    content["cutoffs"] |= cutoffs
    for name, changes in rules.items():
        content["rules"][name] |= changes
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def held_out(model: StoredModel, synthetic: Dataset) -> Rows:
    return holdout_split(synthetic.default, synthetic.groups, model.metadata["seed"])[1]


@pytest.fixture(scope="module")
def probability(model: StoredModel, synthetic: Dataset) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of all rows, without a call of what is tested."""
    margins = model.scorer.margins(model.encoder.encode_columns(synthetic.columns)).astype(np.float64)
    return np.asarray(1 / (1 + np.exp(-margins)))


def test_the_policy_in_use_on_what_was_held_out(
    model: StoredModel, synthetic: Dataset, held_out: Rows, probability: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    result = run()
    assert result.exit_code == 0
    file = PROJECT / "policy.yaml"
    assert f"{file} is valid: policy {load_policy(file).version}\n" in result.stdout
    assert f"{len(held_out):,} applications of {DATA}, held out when {model.tag} was trained" in result.stdout
    assert "WARNING" not in result.output
    assert "Break-even is at a probability of default of 0.1667" in result.stdout

    rows = rows_of(result)
    default, predicted = synthetic.default[held_out], probability[held_out]
    for cutoff, mark in ((0.05, ""), (0.3, "review"), (0.5, "decline"), (0.1 / 0.6, "break-even"), (0.9, "")):
        approved = predicted <= cutoff
        bad = default[approved].sum()
        profit = (0.1 * (approved.sum() - bad) - 0.5 * bad) / len(default)
        assert rows[f"{cutoff:.4g}"] == [
            f"{approved.mean():.2%}",
            f"{bad / approved.sum():.2%}",
            f"{1 - bad / default.sum():.2%}",
            f"{profit:+.4f}",
            mark,
        ]
    shares = (predicted <= 0.3).mean(), ((predicted > 0.3) & (predicted <= 0.5)).mean(), (predicted > 0.5).mean()
    assert rows["cutoffs"][:4] == [*(f"{share:.2%}" for share in shares), ""]
    assert not set(rows) & {"unverified_income", "amount_above_price", "amount_above_limit"}


def test_margin_and_loss_move_the_break_even() -> None:
    result = run("--margin", "0.2", "--lgd", "0.3")
    assert "Break-even is at a probability of default of 0.4000" in result.stdout
    assert rows_of(result)["0.4"][-1] == "break-even"


def test_each_enabled_rule_is_shown_on_top_of_those_before(
    synthetic: Dataset, held_out: Rows, probability: np.ndarray[Any, np.dtype[np.float64]], tmp_path: Path
) -> None:
    rules: dict[str, dict[str, Any]] = {
        "unverified_income": {"enabled": True},
        "amount_above_limit": {"enabled": True, "limit": 1500},
    }
    rows = rows_of(run(write(tmp_path / "policy.yaml", rules, review_above=0.37)))
    assert rows["0.37"][-1] == "review"

    def having(condition: Callable[[CreditApplication], bool]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.array([condition(synthetic.applications[row]) for row in held_out])

    predicted, default = probability[held_out], synthetic.default[held_out]
    first = having(lambda application: not application.income) & (predicted <= 0.37)
    large = having(lambda application: application.amount > 1500)
    second = large & (predicted <= 0.5)
    assert first.any()
    assert second.any()
    assert rows["unverified_income"][3:5] == [f"{first.sum()}", f"{default[first].mean():.2%}"]
    assert rows["amount_above_limit"][3:5] == [f"{second.sum()}", f"{default[second].mean():.2%}"]
    approved = (predicted <= 0.37) & ~first & ~large
    assert rows["amount_above_limit"][0] == f"{approved.mean():.2%}"
    assert rows["amount_above_limit"][5] == f"{default[approved].mean():.2%}"
    assert "amount_above_price" not in rows


def test_other_data_is_not_said_to_be_held_out(model: StoredModel, tmp_path: Path) -> None:
    data = tmp_path / "some.csv"
    data.write_text("".join(DATA.read_text().splitlines(keepends=True)[:1001]))
    result = run("--data", data)
    assert result.exit_code == 0
    assert f"WARNING: {data} is not the file that {model.tag} was trained on. All of its 1,000" in result.stdout


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert run(absent).stderr == f"Error: policy {absent} can't be read: No such file or directory\n"
    crossed = write(tmp_path / "policy.yaml", {}, review_above=0.6)
    result = run(crossed)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "review_above must not be more than decline_above" in result.stderr
    assert "no model credit_risk_model:nowhere" in run("--model", "credit_risk_model:nowhere").stderr
    assert f"{absent} can't be read" in run("--data", absent).stderr
    for share, fault in (("0", "0.0 is not in the range 0<x<=1"), ("1.5", "1.5 is not in the range 0<x<=1")):
        assert f"Invalid value for '--lgd': {fault}" in run("--lgd", share).stderr
    assert "Invalid value for '--margin': it is not a number" in run("--margin", "nan").stderr


def test_malformed_rows_are_listed(tmp_path: Path) -> None:
    data = tmp_path / "some.csv"
    lines = DATA.read_text().splitlines()
    data.write_text("\n".join([lines[0], lines[1] + ",7"]))
    result = run("--data", data)
    assert result.exit_code == 1
    assert "\n  line 2, more cells than the header names" in result.stderr


def test_the_policy_in_use_is_that_of_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "policy.yaml", {}, decline_above=0.7)
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(file))
    assert f"{file} is valid: policy {load_policy(file).version}" in run().stdout
