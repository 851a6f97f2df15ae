from __future__ import annotations

import numpy as np
import pytest

from credit_risk.training.evaluation import (
    FOLDS,
    REPEATS,
    CrossValidation,
    Performance,
    calibration_slope,
    expected_calibration_error,
    holdout_split,
    splits,
)

RNG = np.random.default_rng(0)
PROBABILITY = RNG.uniform(0.02, 0.98, 20_000)
DEFAULT = (RNG.random(20_000) < PROBABILITY).astype(np.int64)


def test_known_figures() -> None:
    metrics = Performance.of(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert metrics.auc == 0.75
    assert metrics.gini == 0.5
    assert metrics.ks == 0.5
    assert metrics.brier == pytest.approx(0.158125)


def test_true_probabilities_are_calibrated() -> None:
    assert calibration_slope(DEFAULT, PROBABILITY) == pytest.approx(1, abs=0.05)
    assert expected_calibration_error(DEFAULT, PROBABILITY) < 0.02


def test_overconfident_probabilities_are_not() -> None:
    odds = (PROBABILITY / (1 - PROBABILITY)) ** 2
    overconfident = odds / (1 + odds)
    assert calibration_slope(DEFAULT, overconfident) == pytest.approx(0.5, abs=0.05)
    assert expected_calibration_error(DEFAULT, overconfident) > 0.05


def test_ece_of_a_constant_shift_is_the_shift() -> None:
    default = np.tile([0, 1], 500)
    assert expected_calibration_error(default, np.full(1000, 0.7)) == pytest.approx(0.2, abs=1e-9)


def test_splits_cover_each_row_once_a_repeat_and_keep_groups_together() -> None:
    default = np.tile([0, 0, 0, 1], 100)
    groups = np.arange(400)
    groups[399] = 3
    held_out = [held for fitted, held in splits(default, groups, seed=1) if not set(fitted) & set(held)]
    assert len(held_out) == REPEATS * FOLDS
    for repeat in range(REPEATS):
        folds = held_out[repeat * FOLDS : (repeat + 1) * FOLDS]
        assert sorted(np.concatenate(folds)) == list(range(400))
        assert all((3 in fold) == (399 in fold) for fold in folds)
        assert all(abs(default[fold].mean() - 0.25) < 0.02 for fold in folds)


def test_splits_differ_by_repeat_and_depend_on_the_seed_alone() -> None:
    default, groups = np.tile([0, 1], 50), np.arange(100)
    first, again = ([held.tolist() for _, held in splits(default, groups, seed=7)] for _ in range(2))
    assert first == again
    assert first[:FOLDS] != first[FOLDS : 2 * FOLDS]
    assert first != [held.tolist() for _, held in splits(default, groups, seed=8)]


def test_the_holdout_is_a_fifth() -> None:
    default, groups = np.tile([0, 1], 50), np.arange(100)
    fitted, held_out = holdout_split(default, groups, seed=1)
    assert (len(fitted), len(held_out)) == (80, 20)
    assert not set(fitted) & set(held_out)


def test_cross_validation_ranks_by_fold_and_calibrates_on_the_pooled_rows() -> None:
    rows = np.arange(len(DEFAULT))
    halves = [(rows[:10_000], PROBABILITY[:10_000]), (rows[10_000:], PROBABILITY[10_000:])]
    result = CrossValidation.of(DEFAULT, [halves])
    by_half = [Performance.of(DEFAULT[half], probability) for half, probability in halves]
    assert result.mean.auc == pytest.approx(np.mean([metrics.auc for metrics in by_half]))
    assert result.sd.auc == pytest.approx(np.std([metrics.auc for metrics in by_half]))
    assert result.mean.ece == pytest.approx(expected_calibration_error(DEFAULT, PROBABILITY))
