"""Synthetic rows, compared with the recipe that they are drawn from and with the real rows that it describes."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from credit_risk.contract.application import FIELDS
from credit_risk.model.features import Encoder
from credit_risk.training.data import load_dataset
from credit_risk.training.recipe import (
    fit_vectorizer,
    predict,
    train_booster,
    train_tutorial_booster,
    tutorial_matrix,
)
from data import compare, fit, generate
from data.outcome import MISSING, log_odds
from tests.conftest import PROJECT

CHECK = json.loads(generate.RECIPE.read_text())["check"]
COLUMN = {name.lower(): index for index, name in enumerate(generate.HEADER)}


def drawn(rows: int = 4455, seed: int = 1) -> NDArray[np.int64]:
    return np.concatenate(list(generate.chunks(rows, seed)))


@pytest.fixture(scope="module")
def many() -> NDArray[np.int64]:
    return drawn(100_000, seed=2)


@pytest.fixture(scope="module")
def real(real_file: Path) -> NDArray[np.int64]:
    rows = np.loadtxt(real_file, delimiter=",", skiprows=1, dtype=np.int64)
    labelled: NDArray[np.int64] = rows[rows[:, COLUMN["status"]] != 0]
    return labelled


def test_the_bundled_file_is_what_the_generator_writes(tmp_path: Path) -> None:
    path = tmp_path / "applications.csv"
    assert CliRunner().invoke(generate.main, ["-o", str(path)]).exit_code == 0
    assert path.read_bytes() == (PROJECT / "data" / "applications.csv").read_bytes()


@pytest.mark.parametrize("run", [["-m", "data.generate"], ["data/generate.py"]], ids=" ".join)
def test_it_runs_as_a_module_and_as_a_file(run: list[str]) -> None:
    command = [sys.executable, *run, "--rows", "2"]
    drawn = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.splitlines() == (PROJECT / "data" / "applications.csv").read_text().splitlines()[:3]


def test_a_file_that_can_not_be_written_is_named() -> None:
    result = CliRunner().invoke(generate.main, ["-o", "/nowhere/applications.csv"])
    assert result.exit_code == 1
    assert "/nowhere/applications.csv can't be written: No such file" in result.output


def test_the_first_rows_are_the_same_however_many_are_drawn() -> None:
    assert drawn(25_000)[:4455].tolist() == drawn().tolist()
    assert hashlib.sha256(drawn(seed=1).tobytes()).digest() != hashlib.sha256(drawn(seed=3).tobytes()).digest()
    assert len(drawn(0 + 10_001)) == 10_001


def test_the_bad_rate_is_the_recipes() -> None:
    rates = [(drawn(seed=seed)[:, COLUMN["status"]] == 2).mean() for seed in range(20)]
    assert np.mean(rates) == pytest.approx(CHECK["mean_bad_rate_20_seeds"], abs=0.004)


@pytest.mark.parametrize("field", CHECK["default_rate_where_missing"])
def test_the_default_rate_where_something_is_missing_is_the_recipes(field: str) -> None:
    rows = drawn(300_000, seed=3)
    missing = rows[rows[:, COLUMN[field]] == MISSING]
    expected = CHECK["default_rate_where_missing"][field]
    assert (missing[:, COLUMN["status"]] == 2).mean() == pytest.approx(expected, abs=0.02)


def test_the_recipes_outcomes_are_what_is_fitted_to_the_real_rows(real: NDArray[np.int64]) -> None:
    rows = np.concatenate(list(generate.chunks(fit.DRAWN, seed=0)))
    block, rates = fit.fit(real, fit.columns_of(rows))
    recipe = json.loads(generate.RECIPE.read_text())["default_logit"]
    assert rates == CHECK["default_rate_where_missing"]
    assert block["intercept"] == pytest.approx(recipe["intercept"], abs=0.01)
    assert block["coefficients"] == pytest.approx(recipe["coefficients"], abs=0.01)


def test_outcomes_are_drawn_evenly_but_each_by_its_own_probability() -> None:
    recipe = json.loads(generate.RECIPE.read_text())
    draws = [generate.Draw(recipe, np.random.default_rng([seed]), generate.CHUNK) for seed in range(3)]
    for rows, draw in [(draw.columns(), draw) for draw in draws]:
        probability = expit(log_odds(recipe["default_logit"], fit.columns_of(rows)))
        default = rows[:, COLUMN["status"]] == 2
        assert abs(default.sum() - probability.sum()) <= 1
        again = np.array([draw._status() == 2 for _ in range(400)])
        assert np.abs(again.mean(axis=0) - probability).max() <= 0.13  # five standard errors


def test_the_bundled_model_decides_much_like_one_of_the_real_rows(real_file: Path) -> None:
    result = CliRunner().invoke(compare.main, ["--real", str(real_file)])
    assert result.exit_code == 0, result.output
    share, _, rest = result.output.partition("% of 4,454 decisions differ")
    assert "DECLINED" in rest
    assert float(share) / 100 == pytest.approx(CHECK["decisions_on_real_rows_that_differ"], abs=0.002)


def test_an_absent_file_is_named_when_models_are_compared() -> None:
    result = CliRunner().invoke(compare.main, ["--real", "nowhere.csv"])
    assert result.exit_code == 1
    assert "nowhere.csv can't be read: No such file" in result.output


def test_the_invariants_hold(many: NDArray[np.int64]) -> None:
    column = {name: many[:, index] for name, index in COLUMN.items()}
    assert (column["amount"] <= column["price"]).all()
    assert (column["seniority"] <= column["age"] - 14).all()
    assert (column["expenses"] >= 35).all()
    assert set(np.unique(column["time"])) <= set(range(6, 61, 6))


@pytest.mark.parametrize("column", CHECK["ks_per_column"])
def test_each_number_is_distributed_as_the_real_one(
    many: NDArray[np.int64], real: NDArray[np.int64], column: str
) -> None:
    synthetic, actual = (rows[:, COLUMN[column]] for rows in (many, real))
    gap = ks_2samp(synthetic[synthetic != MISSING], actual[actual != MISSING]).statistic
    assert gap <= CHECK["ks_per_column"][column] + 0.01


@pytest.mark.parametrize("column", CHECK["total_variation"])
def test_each_category_is_as_common_as_the_real_one(
    many: NDArray[np.int64], real: NDArray[np.int64], column: str
) -> None:
    synthetic, actual = (np.bincount(rows[:, COLUMN[column]], minlength=8) / len(rows) for rows in (many, real))
    assert np.abs(synthetic - actual).sum() / 2 <= CHECK["total_variation"][column]


def test_columns_are_correlated_as_the_real_ones(many: NDArray[np.int64], real: NDArray[np.int64]) -> None:
    def spearman(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        numbers = rows[:, [COLUMN[name] for name in CHECK["ks_per_column"]]]
        numbers = numbers[(numbers != MISSING).all(axis=1)]
        ranks = np.column_stack([np.unique(column, return_inverse=True)[1] for column in numbers.T])
        mid = np.column_stack([(np.cumsum(np.bincount(c)) - np.bincount(c) / 2)[c] for c in ranks.T])
        return np.asarray(np.corrcoef(mid, rowvar=False))

    assert np.abs(spearman(many) - spearman(real)).max() <= CHECK["max_abs_spearman_difference"] + 0.02


def test_a_model_of_synthetic_rows_ranks_the_real_ones(real_file: Path, tmp_path: Path) -> None:
    """As in the recipe's check, with ten seeds: a model with all features and two ratios, and the tutorial's model."""
    real_rows = load_dataset(real_file)
    model_aucs, tutorial_aucs = [], []
    for seed in range(10):
        path = tmp_path / f"{seed}.csv"
        CliRunner().invoke(generate.main, ["--seed", str(seed), "-o", str(path)])
        synthetic = load_dataset(path)
        encoder = Encoder.of(fit_vectorizer(synthetic.applications, protected=True))
        booster = train_booster(encoder.encode_columns(synthetic.columns), synthetic.default, encoder, seed=1)
        probability = predict(booster, encoder.encode_columns(real_rows.columns))
        model_aucs.append(roc_auc_score(real_rows.default, probability))
        columns = [dataset.columns for dataset in (synthetic, real_rows)]
        both = tutorial_matrix({name: np.concatenate([part[name] for part in columns]) for name in FIELDS})
        tutorial = train_tutorial_booster(both[: len(synthetic)], synthetic.default)
        tutorial_aucs.append(roc_auc_score(real_rows.default, predict(tutorial, both[len(synthetic) :])))
    expected = CHECK["tested_on_all_real_rows_10_seeds_optimistic"]
    assert np.mean(model_aucs) == pytest.approx(expected["all_features_plus_2_ratios_d2_auc"], abs=0.004)
    assert np.mean(tutorial_aucs) == pytest.approx(expected["course_auc"], abs=0.004)


def test_in_words_they_are_what_the_service_takes(tmp_path: Path) -> None:
    coded, words = tmp_path / "coded.csv", tmp_path / "words.csv"
    for path, option in ((coded, []), (words, ["--words"])):
        assert CliRunner().invoke(generate.main, ["--rows", "300", "--output", str(path), *option]).exit_code == 0
    expected = [application.model_dump() for application in load_dataset(coded, "synthetic").applications]
    with words.open() as file:
        rows = list(csv.DictReader(file))
    for row, application in zip(rows, expected, strict=True):
        assert list(row) == list(application)
        assert {name: value or "None" for name, value in row.items()} == {
            name: str(int(value)) if isinstance(value, float) else str(value) for name, value in application.items()
        }
