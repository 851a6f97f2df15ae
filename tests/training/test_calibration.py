from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from credit_risk.training.calibration import MATERIAL, Recalibration
from credit_risk.training.evaluation import Outcomes, Probabilities

DRAWS = 1000
# Five standard errors of a share of 5 % of the draws, so that a right test fails one run in a million.
TOLERANCE = 5 * np.sqrt(0.05 * 0.95 / DRAWS)


def drawn(rng: np.random.Generator, n: int, slope: float = 1) -> tuple[Outcomes, Probabilities]:
    """Outcomes of n applicants whose log odds are `slope` times the predicted ones, and the predictions."""
    probability = rng.beta(0.8, 2, n).clip(0.005, 0.98)
    return (rng.random(n) < expit(slope * logit(probability))).astype(np.int64), probability


@pytest.mark.parametrize("n", [500, 1000, 5000])
def test_right_probabilities_are_refused_once_in_twenty_whatever_their_number(n: int) -> None:
    rng = np.random.default_rng(n)
    refused = np.mean([Recalibration.of(*drawn(rng, n)).refused for _ in range(DRAWS)])
    assert refused == pytest.approx(0.05, abs=TOLERANCE)


@pytest.mark.parametrize(("n", "least"), [(500, 0.35), (1000, 0.7), (5000, 0.99)])
def test_probabilities_that_are_too_extreme_are_refused_more_often_the_more_there_are(n: int, least: float) -> None:
    rng = np.random.default_rng(n)
    assert np.mean([Recalibration.of(*drawn(rng, n, slope=0.8)).refused for _ in range(200)]) > least


def test_an_error_that_does_not_matter_is_not_refused_however_certain() -> None:
    found = Recalibration.of(*drawn(np.random.default_rng(1), 1_000_000, slope=0.98))
    assert found.p_value < 0.001
    assert found.correction < MATERIAL
    assert not found.refused


def test_the_fit_is_scikit_learn_s() -> None:
    default, probability = drawn(np.random.default_rng(2), 2000, slope=0.7)
    fitted = LogisticRegression(C=np.inf).fit(logit(probability).reshape(-1, 1), default)
    found = Recalibration.of(default, probability)
    assert found.intercept == pytest.approx(fitted.intercept_[0], abs=1e-3)
    assert found.slope == pytest.approx(fitted.coef_[0, 0], abs=1e-3)
    corrected = fitted.predict_proba(logit(probability).reshape(-1, 1))[:, 1]
    assert found.correction == pytest.approx(np.abs(corrected - probability).mean(), abs=1e-3)


def test_a_shift_of_all_probabilities_is_refused() -> None:
    default, probability = drawn(np.random.default_rng(3), 5000)
    found = Recalibration.of(default, expit(logit(probability) + 0.2))
    assert found.intercept == pytest.approx(-0.2, abs=0.1)
    assert found.refused


def test_outcomes_that_can_be_told_apart_have_a_figure_all_the_same() -> None:
    found = Recalibration.of(np.repeat([0, 1], 50), np.repeat([0.3, 0.6], 50))
    assert found.slope > 1
    assert np.isfinite([found.intercept, found.slope, found.p_value, found.correction]).all()
    assert found.refused
