from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score

from credit_risk.contract.policy import load_policy
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import Outcomes, Performance, Probabilities, expected_calibration_error
from credit_risk.training.figures import (
    CUTOFFS,
    MOST_POINTS,
    Economics,
    Sample,
    SampleFigures,
    beyond_break_even,
    calibration,
    cutoff_table,
    mean_absolute,
    reliability,
    roc,
    score_bands,
    scores,
)
from tests.conftest import PROJECT

ECONOMICS = Economics(margin=0.1, loss_given_default=0.5)
RNG = np.random.default_rng(0)
PROBABILITY = RNG.uniform(0.02, 0.98, 5000)
DEFAULT = (RNG.random(5000) < PROBABILITY).astype(np.int64)

# Both outcomes, and any probabilities, with ties.
probabilities = st.floats(0, 1) | st.sampled_from([0.0, 0.3, 0.5, 1.0])
samples = st.lists(st.tuples(st.integers(0, 1), probabilities)).map(lambda rows: [(0, 0.2), (1, 0.6), *rows])


def arrays(rows: list[tuple[int, float]]) -> tuple[Outcomes, Probabilities]:
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def test_the_curve_and_its_gap_are_scikit_learn_s() -> None:
    curve = roc(DEFAULT, PROBABILITY)
    assert auc(curve.good, curve.bad) == pytest.approx(roc_auc_score(DEFAULT, PROBABILITY), abs=1e-5)
    assert curve.ks == Performance.of(DEFAULT, PROBABILITY).ks
    assert (curve.good[0], curve.bad[0], curve.good[-1], curve.bad[-1]) == (0, 0, 1, 1)


def test_the_gap_lies_where_it_is_said_to() -> None:
    curve = roc(np.array([0, 0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8]))
    assert (curve.ks, curve.ks_probability, curve.ks_score) == (0.75, 0.5, 487)


@given(samples)
def test_curves_rise_and_are_numbers(rows: list[tuple[int, float]]) -> None:
    curve = roc(*arrays(rows))
    assert np.all(np.diff(curve.good) >= 0)
    assert np.all(np.diff(curve.bad) >= 0)
    assert np.all(np.diff(curve.threshold) <= 0)
    assert np.isfinite([*curve.threshold, curve.ks, curve.ks_probability]).all()
    assert 0 <= curve.ks <= 1


def test_the_score_is_that_of_a_decision() -> None:
    assert scores(np.array([0.3, 0.5, 1 / 51])).tolist() == [512, 487, 600]


def test_the_interval_is_wilson_s() -> None:
    half = calibration(np.tile([0, 1], 5), np.full(10, 0.4))
    assert (half.n, half.observed) == (10, 0.5)
    assert [half.predicted, half.low, half.high] == pytest.approx([0.4, 0.2366, 0.7634], abs=1e-4)
    z, n, p = 1.959964, 200, 0.03
    centre, spread = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    rare = calibration(np.repeat([0, 1], [194, 6]), np.full(200, p))
    assert [rare.low, rare.high] == pytest.approx([(centre + sign * spread) / (1 + z**2 / n) for sign in (-1, 1)])


def test_the_bins_are_those_of_the_calibration_error() -> None:
    bins = reliability(DEFAULT, PROBABILITY)
    error = sum(b.n * abs(b.predicted - b.observed) for b in bins) / len(DEFAULT)
    assert error == pytest.approx(expected_calibration_error(DEFAULT, PROBABILITY))
    assert [b.n for b in bins] == [500] * 10
    assert all(first.predicted < second.predicted for first, second in pairwise(bins))


@given(samples)
def test_everybody_is_in_one_bin_and_one_band(rows: list[tuple[int, float]]) -> None:
    default, probability = arrays(rows)
    bands = score_bands(default, probability)
    assert sum(b.n for b in reliability(default, probability)) == len(rows)
    assert sum(bad for _, bad in bands.values()) == default.sum()
    assert sum(good for good, _ in bands.values()) == len(rows) - default.sum()
    assert all(band % 20 == 0 for band in bands)
    assert max(bands) - min(bands) == 20 * (len(bands) - 1)


def test_a_cutoff_by_hand() -> None:
    default, probability = np.array([0, 0, 1, 1, 0]), np.array([0.1, 0.2, 0.3, 0.8, 0.95])
    rows = {row.cutoff: row for row in cutoff_table(default, probability, ECONOMICS, {"review": 0.3, "all": 1.0})}
    review = rows[0.3]
    assert (review.marks, review.approved, review.bad_rate, review.bads_caught) == (["review"], 0.6, 1 / 3, 0.5)
    assert review.profit == pytest.approx((2 * 0.1 - 0.5) / 5)
    assert (rows[0.05].approved, rows[0.05].bad_rate, rows[0.05].bads_caught, rows[0.05].profit) == (0, None, 1, 0)
    assert list(rows) == sorted({*CUTOFFS, 1.0})


@given(samples)
def test_a_higher_cutoff_approves_more_and_catches_fewer(rows: list[tuple[int, float]]) -> None:
    table = cutoff_table(*arrays(rows), ECONOMICS, {"everybody": 1.0})
    for lower, higher in pairwise(table):
        assert lower.cutoff < higher.cutoff
        assert lower.approved <= higher.approved
        assert lower.bads_caught >= higher.bads_caught
    assert (table[-1].approved, table[-1].bads_caught) == (1, 0)


def test_no_cutoff_earns_more_than_break_even_where_probabilities_are_true() -> None:
    assert ECONOMICS.break_even == pytest.approx(1 / 6)
    probability = np.repeat(np.arange(0.005, 1, 0.01), 1000)
    default = np.concatenate([np.arange(1000) < round(1000 * p) for p in probability[::1000]]).astype(np.int64)
    table = cutoff_table(default, probability, ECONOMICS, {"break-even": ECONOMICS.break_even})
    assert max(table, key=lambda row: row.profit).marks == ["break-even"]


def test_what_lies_beyond_break_even_by_hand() -> None:
    default, probability = np.array([0, 0, 1, 1, 0]), np.array([0.1, 0.2, 0.3, 0.8, 0.95])
    beyond = beyond_break_even(default, probability, ECONOMICS, 0.3)
    assert beyond is not None
    assert (beyond.n, beyond.share, beyond.bad_rate) == (2, 0.4, 0.5)
    assert beyond.profit == pytest.approx((0.1 - 0.5) / 5)
    assert beyond_break_even(default, probability, ECONOMICS, 0.1) is None


def test_contributions_in_points_the_most_first() -> None:
    doubling = math.log(2)
    result = mean_absolute({"less": np.array([0.0, doubling]), "more": np.array([doubling, -3 * doubling])})
    assert list(result) == ["more", "less"]
    assert list(result.values()) == pytest.approx([40, 10])


def test_a_sample_is_decided_by_the_policy(synthetic: Dataset) -> None:
    policy = load_policy(PROJECT / "policy.yaml")
    probability = np.random.default_rng(1).uniform(0, 1, len(synthetic))
    figures = SampleFigures.of(Sample(synthetic.applications, synthetic.default, probability), policy, ECONOMICS)
    marked = {mark: row for row in figures.cutoffs for mark in row.marks}
    assert sum(figures.statuses.values()) == pytest.approx(1)
    assert figures.statuses["APPROVED"] <= marked["review"].approved
    assert figures.statuses["DECLINED"] >= 1 - marked["decline"].approved - 1e-12


def test_a_roc_curve_of_many_rows_keeps_few_points_and_its_largest_gap() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(50_000)
    default = (rng.random(50_000) < probability).astype(np.int64)
    found = roc(default, probability)
    assert len(found.threshold) in (MOST_POINTS, MOST_POINTS + 1)
    assert (found.threshold[0], found.good[0], found.good[-1], found.bad[-1]) == (1, 0, 1, 1)
    at = found.threshold.index(round(found.ks_probability, 5))
    assert found.bad[at] - found.good[at] == pytest.approx(found.ks, abs=2e-5)
