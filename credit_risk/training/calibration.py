"""Whether probabilities of default are calibrated: Cox's recalibration of them, and the test of it.

D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958): regress the outcome on the
predicted log odds. Where the predictions are right, the intercept is 0 and the slope 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit, logit, xlog1py, xlogy
from scipy.stats import chi2

from credit_risk.training.evaluation import Outcomes, Probabilities

LEVEL = 0.05  # how often the test refuses probabilities that are right
MATERIAL = 0.005  # a mean correction of half a percentage point; a million rows would prove a smaller one, too
STEPS = 50


@dataclass(frozen=True)
class Recalibration:
    """The corrected log odds are intercept + slope times the predicted ones."""

    intercept: float
    slope: float  # below 1 the predictions are too extreme
    p_value: float  # of the likelihood-ratio test of intercept 0 and slope 1, which has two degrees of freedom
    correction: float  # by how much it changes a probability on average (Austin and Steyerberg's ICI)

    @classmethod
    def of(cls, default: Outcomes, probability: Probabilities) -> Self:
        """Fit by Newton's method. Both outcomes must occur."""
        probability = np.clip(probability, 1e-6, 1 - 1e-6)
        log_odds = logit(probability)
        coefficients = fit(default, log_odds)
        corrected = expit(coefficients[0] + coefficients[1] * log_odds)
        gain = max(0.0, 2 * (log_likelihood(default, corrected) - log_likelihood(default, probability)))
        correction = float(np.abs(corrected - probability).mean())
        return cls(float(coefficients[0]), float(coefficients[1]), float(chi2.sf(gain, 2)), correction)

    @property
    def refused(self) -> bool:
        """Whether the predictions are wrong beyond chance, and by enough to matter."""
        return self.p_value < LEVEL and self.correction > MATERIAL


def fit(default: Outcomes, log_odds: Probabilities) -> tuple[float, float]:
    """Maximize the likelihood of outcomes (n,), given log odds (n,), by intercept and slope."""
    design = np.stack([np.ones_like(log_odds), log_odds])
    found = np.array([0.0, 1.0])
    for _ in range(STEPS):
        fitted = expit(found @ design)
        curvature = (design * (fitted * (1 - fitted))) @ design.T
        step = np.linalg.lstsq(curvature, design @ (default - fitted), rcond=None)[0]
        step = np.clip(step, -1, 1)  # where the outcomes can be told apart without error, the slope has no limit
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def log_likelihood(default: Outcomes, probability: Probabilities) -> float:
    return float((xlogy(default, probability) + xlog1py(1 - default, -probability)).sum())
