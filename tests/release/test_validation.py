"""The figures of a card that train.py saved, computed again with NumPy and scikit-learn from the recipe's boosters."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import holdout_split, splits
from credit_risk.training.recipe import train_booster

WITHIN = 0.001
REVIEW, DECLINE = 0.3, 0.5
FIELDS = ("seniority", "time", "expenses", "income", "assets", "debt", "amount", "price")
Values = NDArray[Any]
Split = tuple[Values, Values]


@pytest.fixture(scope="module")
def card(model: StoredModel) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((model.report / "model-card.json").read_text())
    return content


@pytest.fixture(scope="module")
def folds(synthetic: Dataset) -> list[Split]:
    return list(splits(synthetic.default, synthetic.groups, 1))


@pytest.fixture(scope="module")
def fit(model: StoredModel, synthetic: Dataset) -> Callable[..., Values]:
    """Train on rows, and predict others; `but` are columns that are blanked."""
    names = model.encoder.names
    matrix = model.encoder.encode_columns(synthetic.columns)

    def predictions(split: Split, seed: int = 1, but: Sequence[str] = ()) -> Values:
        blanked = matrix.copy()
        blanked[:, [name.partition("=")[0] in but for name in names]] = 0
        fitted, held_out = split
        booster = train_booster(blanked[fitted], synthetic.default[fitted], model.encoder, seed=seed)
        return np.asarray(booster.inplace_predict(blanked[held_out]), dtype=np.float64)

    return predictions


@pytest.fixture(scope="module")
def predicted(fit: Callable[..., Values], folds: list[Split]) -> list[Values]:
    return [fit(split) for split in folds]


def pooled(folds: list[Split], predicted: list[Values]) -> Values:
    """The predictions of the first five folds, in the order of the rows."""
    rows = np.concatenate([held_out for _, held_out in folds[:5]])
    return np.concatenate(predicted[:5])[np.argsort(rows)]


def aucs(synthetic: Dataset, folds: list[Split], predicted: list[Values]) -> Values:
    pairs = zip(folds, predicted, strict=False)
    return np.array([roc_auc_score(synthetic.default[held_out], values) for (_, held_out), values in pairs])


def interval(differences: Values) -> list[float]:
    mean, spread = differences.mean(), differences.std(ddof=1) * np.sqrt(1 / len(differences) + 1 / 4)
    low, high = stats.t.interval(0.95, len(differences) - 1, loc=mean, scale=spread)
    return [mean, low, high]


def assert_interval(found: dict[str, float], expected: Sequence[float]) -> None:
    assert [found["value"], found["low"], found["high"]] == pytest.approx(expected, abs=WITHIN)


def numbers(synthetic: Dataset, *, ratios: bool) -> Values:
    of = synthetic.columns
    found = [of[name] for name in FIELDS]
    if ratios:
        free = np.clip(of["income"] - of["expenses"] - of["debt"] / 100, 0, None)
        found += [of["amount"] / of["price"], free * of["time"] / of["amount"]]
    return np.column_stack(found)


def words(synthetic: Dataset) -> list[Values]:
    return [synthetic.columns[name].astype(str) for name in ("home", "records", "job")]


def regression(synthetic: Dataset, split: Split, *, more: bool) -> Values:
    """Logistic regression by hand: medians for missing values, which have a column of their own."""
    fitted, held_out = split
    values = np.log1p(numbers(synthetic, ratios=True)) if more else numbers(synthetic, ratios=False)
    missing = np.isnan(values)
    filled = np.where(missing, np.nanmedian(values[fitted], axis=0), values)
    one_hot = [column == word for column in words(synthetic) for word in sorted(set(column[fitted]))]
    design = np.column_stack([filled, *one_hot, missing[:, missing[fitted].any(axis=0)]]).astype(float)
    design = (design - design[fitted].mean(axis=0)) / np.maximum(design[fitted].std(axis=0), 1e-9)
    model = LogisticRegression(max_iter=5000, tol=1e-8).fit(design[fitted], synthetic.default[fitted])
    return np.asarray(model.predict_proba(design[held_out])[:, 1])


def scorecard(synthetic: Dataset, split: Split, *, more: bool) -> Values:
    """Weight of evidence, bin by bin."""
    fitted, held_out = split
    default = synthetic.default
    labels: list[list[str]] = [list(column) for column in words(synthetic)]
    for column in numbers(synthetic, ratios=more).T:
        edges = sorted(set(np.nanpercentile(column[fitted], range(10, 100, 10))))
        labels.append(["missing" if np.isnan(v) else str(sum(v > edge for edge in edges)) for v in column])
    odds = default[fitted].sum() / (1 - default[fitted]).sum()
    design = np.zeros((len(default), len(labels)))
    for at, column_labels in enumerate(map(np.array, labels)):
        for label in set(column_labels[fitted]):
            inside = default[fitted][column_labels[fitted] == label]
            design[column_labels == label, at] = np.log((inside.sum() + 0.5) / ((1 - inside).sum() + 0.5) / odds)
    model = LogisticRegression(max_iter=5000, tol=1e-8).fit(design[fitted], default[fitted])
    return np.asarray(model.predict_proba(design[held_out])[:, 1])


@pytest.mark.parametrize(
    ("name", "benchmark", "more"),
    [
        ("logistic regression", regression, False),
        ("logistic regression, logarithms and ratios", regression, True),
        ("scorecard", scorecard, False),
        ("scorecard with ratios", scorecard, True),
    ],
)
def test_other_models_and_the_gain_over_them(
    card: dict[str, Any],
    synthetic: Dataset,
    folds: list[Split],
    predicted: list[Values],
    name: str,
    benchmark: Callable[..., Values],
    more: bool,
) -> None:
    [row] = [row for row in card["validation"]["comparisons"] if row["name"] == name]
    others = aucs(synthetic, folds, [benchmark(synthetic, split, more=more) for split in folds])
    assert row["auc"] == pytest.approx(others.mean(), abs=WITHIN)
    assert_interval(row["gain"], interval(aucs(synthetic, folds, predicted) - others))


def test_the_gain_over_the_tutorial_is_that_of_its_folds(card: dict[str, Any]) -> None:
    [row] = [row for row in card["validation"]["comparisons"] if row["name"] == "the tutorial's model"]
    ours, tutorials = (card["training"][name]["aucs"] for name in ("cross_validation", "tutorial_cross_validation"))
    assert_interval(row["gain"], interval(np.array(ours) - np.array(tutorials)))


def test_the_intervals_over_applicants(
    card: dict[str, Any], synthetic: Dataset, folds: list[Split], predicted: list[Values]
) -> None:
    """With the same draws, but figures of scikit-learn's."""
    order = np.argsort(pooled(folds, predicted), kind="stable")
    probability, default = pooled(folds, predicted)[order], synthetic.default[order]
    found, rng, drawn = card["validation"]["bootstrap"], np.random.default_rng(1), []
    for _ in range(found["draws"]):
        rows = rng.integers(len(order), size=len(order))
        rng.random(len(order))
        y, p = default[rows], probability[rows]
        slope = LogisticRegression(C=np.inf).fit(np.log(p / (1 - p)).reshape(-1, 1), y).coef_[0, 0]
        bins = np.array_split(np.argsort(p, kind="stable"), 10)
        ece = sum(len(rows) * abs(p[rows].mean() - y[rows].mean()) for rows in bins) / len(y)
        drawn.append((roc_auc_score(y, p), slope, ece))
    for name, column in zip(("auc", "calibration_slope", "ece"), np.transpose(drawn), strict=True):
        low, high = np.percentile(column, [2.5, 97.5])
        assert [found[name]["low"], found[name]["high"]] == pytest.approx([low, high], abs=WITHIN)
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(default, probability), abs=WITHIN)


def statuses(probability: Values) -> Values:
    return (probability > REVIEW).astype(int) + (probability > DECLINE)


def test_decisions_that_chance_changes(card: dict[str, Any], synthetic: Dataset, fit: Callable[..., Values]) -> None:
    fitted, held_out = holdout_split(synthetic.default, synthetic.groups, 1)
    own, found = statuses(fit((fitted, held_out))), card["validation"]["stability"]
    refits = range(1, found["refits"] + 1)
    of_seeds = [statuses(fit((fitted, held_out), seed=1 + refit)) for refit in refits]
    of_rows = []
    for refit in refits:
        rows = np.random.default_rng([1, found["refits"] + refit]).choice(fitted, len(fitted))
        of_rows.append(statuses(fit((rows, held_out))))
    assert found["n"] == len(held_out)
    for name, others in (("seed", of_seeds), ("rows", of_rows)):
        changed = [np.mean(other != own) for other in others]
        reversals = np.mean([np.mean(abs(other - own) == 2) for other in others])
        expected = [np.mean(changed), min(changed), max(changed), reversals]
        assert [found[name][figure] for figure in ("mean", "least", "most", "reversed")] == pytest.approx(
            expected, abs=WITHIN
        )


def rates(approved: Values, group: Values, largest: Values) -> list[float]:
    """The ratio of approval rates, and its interval on the scale of logarithms."""
    (a, n), (b, m) = ((int(approved[rows].sum()), int(rows.sum())) for rows in (group, largest))
    ratio, spread = a / n / (b / m), np.sqrt((1 - a / n) / a + (1 - b / m) / b)
    return [ratio, ratio * np.exp(-1.959964 * spread), ratio * np.exp(1.959964 * spread)]


def test_ratios_to_the_largest_group(
    card: dict[str, Any], synthetic: Dataset, folds: list[Split], predicted: list[Values]
) -> None:
    approved = pooled(folds, predicted) <= REVIEW
    age, good = synthetic.columns["age"], synthetic.default == 0
    young, largest = age <= 24, (age >= 25) & (age <= 39)
    rows = {row["group"]: row for row in card["fairness"]["age"]}
    assert max(rows.values(), key=lambda row: row["n"])["group"] == "25 to 39"
    assert rows["18 to 24"]["all"]["rate"] == pytest.approx(approved[young].mean(), abs=WITHIN)
    assert rows["18 to 24"]["good"]["rate"] == pytest.approx(approved[young & good].mean(), abs=WITHIN)
    assert_interval(rows["18 to 24"]["all"]["ratio"], rates(approved, young, largest))
    assert_interval(rows["18 to 24"]["good"]["ratio"], rates(approved, young & good, largest & good))
    bad_rate = synthetic.default[young & approved].mean()
    assert rows["18 to 24"]["bad_rate"] == pytest.approx(bad_rate, abs=WITHIN)


@pytest.mark.parametrize(
    ("without", "but"), [([], ()), (["seniority"], ("seniority",)), (["expenses"], ("expenses", "free_income_ratio"))]
)
def test_an_alternative_its_cost_and_its_ratio(
    card: dict[str, Any],
    synthetic: Dataset,
    folds: list[Split],
    predicted: list[Values],
    fit: Callable[..., Values],
    without: list[str],
    but: tuple[str, ...],
) -> None:
    search = card["validation"]["search"]
    [row] = [row for row in search["alternatives"] if row["without"] == without]
    others = [fit(split, but=but) for split in folds[:10]]
    theirs, ours = aucs(synthetic, folds, others), aucs(synthetic, folds, predicted)[:10]
    approved, age = pooled(folds, others) <= REVIEW, synthetic.columns["age"]
    assert row["auc"] == pytest.approx(theirs.mean(), abs=WITHIN)
    assert row["approved"] == pytest.approx(approved.mean(), abs=WITHIN)
    assert search["age_group"] == "18 to 24"
    ratio = rates(approved, age <= 24, (age >= 25) & (age <= 39))[0]
    assert row["age"] == pytest.approx(ratio, abs=WITHIN)
    if without:
        assert_interval(row["cost"], interval(ours - theirs))
    else:
        assert row["cost"] is None


def test_at_least_five_alternatives_are_searched(card: dict[str, Any]) -> None:
    own, *others = card["validation"]["search"]["alternatives"]
    assert own["without"] == []
    assert len(others) >= 5
    assert [row["lowest"] for row in others] == sorted((row["lowest"] for row in others), reverse=True)


def test_the_test_of_the_calibration_is_by_likelihood(
    card: dict[str, Any], synthetic: Dataset, folds: list[Split], predicted: list[Values]
) -> None:
    probability, default = pooled(folds, predicted), synthetic.default
    log_odds = np.log(probability / (1 - probability)).reshape(-1, 1)
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(log_odds, default)
    corrected = fitted.predict_proba(log_odds)[:, 1]

    def likelihood(p: Values) -> float:
        return float(np.sum(default * np.log(p) + (1 - default) * np.log(1 - p)))

    found = card["validation"]["recalibration"]
    assert found["slope"] == pytest.approx(fitted.coef_[0, 0], abs=WITHIN)
    assert found["intercept"] == pytest.approx(fitted.intercept_[0], abs=WITHIN)
    expected = stats.chi2.sf(2 * (likelihood(corrected) - likelihood(probability)), 2)
    assert found["p_value"] == pytest.approx(expected, abs=WITHIN)
