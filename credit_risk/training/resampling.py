"""Intervals: of a difference between two models over the same folds, and of a figure over samples of applicants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import rankdata, t

from credit_risk.training.calibration import fit
from credit_risk.training.evaluation import CALIBRATION_BINS, Outcomes, Probabilities

LEVEL = 0.95
MOST_DRAWS, LEAST_DRAWS, MOST_ROWS_DRAWN = 1000, 100, 20_000_000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def corrected_interval(differences: Sequence[float], *, folds: int) -> Interval:
    """Give the mean difference between two models over the folds of a repeated cross-validation, (folds x repeats,).

    The folds share most of their training rows, so their differences vary less than those of new samples would. The
    interval is that of the corrected resampled t-test: C. Nadeau and Y. Bengio, "Inference for the generalization
    error", Machine Learning 52 (2003).
    """
    values = np.asarray(differences)
    variance = (1 / len(values) + 1 / (folds - 1)) * values.var(ddof=1)
    reach = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.sqrt(variance))
    return Interval(float(values.mean()), float(values.mean()) - reach, float(values.mean()) + reach)


def gain(aucs: Sequence[float], others: Sequence[float], folds: int) -> Interval:
    """Compare the AUC of two models over the folds of all repeats, of which there are `folds` in each."""
    return corrected_interval([a - b for a, b in zip(aucs, others, strict=True)], folds=folds)


@dataclass(frozen=True)
class Bootstrap:
    """The 95 % percentile intervals of figures over samples of as many applicants, drawn with replacement.

    Sampling adds errors of its own to a calibration error, so its interval lies higher than the figure. `ece_by_chance`
    is for comparison: the calibration error that probabilities have which are right, where outcomes are drawn by them.
    """

    draws: int
    auc: Interval
    calibration_slope: Interval
    ece: Interval
    ece_by_chance: Interval  # its value is the mean


def bootstrap(default: Outcomes, probability: Probabilities, *, seed: int) -> Bootstrap:
    """Draw samples from predictions (n,) and outcomes (n,)."""
    order = np.argsort(probability, kind="stable")
    default, probability = default[order], probability[order]
    draws = max(LEAST_DRAWS, min(MOST_DRAWS, MOST_ROWS_DRAWN // len(order)))
    rng = np.random.default_rng(seed)
    figures, by_chance = [], []
    for _ in range(draws):
        rows = np.sort(rng.integers(len(order), size=len(order)))  # in the order of the probabilities again
        figures.append(_figures(default[rows], probability[rows]))
        by_chance.append(_error((rng.random(len(order)) < probability).astype(np.int64), probability))
    auc, slope, ece = np.transpose(figures)
    of_all = _figures(default, probability)
    return Bootstrap(
        draws,
        _percentiles(of_all[0], auc),
        _percentiles(of_all[1], slope),
        _percentiles(of_all[2], ece),
        _percentiles(float(np.mean(by_chance)), by_chance),
    )


def _percentiles(value: float, drawn: Any) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _figures(default: Outcomes, probability: Probabilities) -> tuple[float, float, float]:
    """Compute AUC, calibration slope and calibration error of rising probabilities, quicker than of any."""
    bad = default.sum()
    ranks = rankdata(probability)[default == 1].sum()
    auc = float((ranks - bad * (bad + 1) / 2) / (bad * (len(default) - bad)))
    slope = fit(default, logit(np.clip(probability, 1e-6, 1 - 1e-6)))[1]
    return auc, slope, _error(default, probability)


def _error(default: Outcomes, probability: Probabilities) -> float:
    gaps: NDArray[np.float64] = probability - default
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, CALIBRATION_BINS)) / len(gaps))
