"""How good a model is: its ranking and its calibration, over repeated cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold

Probabilities = NDArray[np.float64]  # of default, (n,)
Outcomes = NDArray[np.int64]  # 1 where the applicant defaulted, (n,)
Rows = NDArray[np.int64]  # positions of rows

FOLDS = 5
REPEATS = 5
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Performance:
    """The figures of one set of predictions, or their mean or standard deviation over several sets."""

    auc: float  # area under the ROC curve
    ks: float  # Kolmogorov-Smirnov: the largest gap between the score distributions of good and bad
    gini: float  # 2 AUC - 1
    brier: float  # mean squared error of the probability
    log_loss: float  # mean negative log likelihood, in nats
    calibration_slope: float  # of the outcome on the log odds: 1 is right, below 1 is overconfident
    ece: float  # expected calibration error: mean |predicted - observed| over ten bins of equal size

    @classmethod
    def of(cls, default: Outcomes, probability: Probabilities) -> Self:
        auc = float(roc_auc_score(default, probability))
        false_positive, true_positive, _ = roc_curve(default, probability)
        return cls(
            auc=auc,
            ks=float(np.max(true_positive - false_positive)),
            gini=2 * auc - 1,
            brier=float(brier_score_loss(default, probability)),
            log_loss=float(log_loss(default, probability)),
            calibration_slope=calibration_slope(default, probability),
            ece=expected_calibration_error(default, probability),
        )

    @classmethod
    def combine(cls, several: Iterable[Performance], how: Callable[[NDArray[np.float64]], float]) -> Self:
        """Combine each figure over several sets of predictions by `how`, such as `np.mean` or `np.std`."""
        table = np.array([astuple(metrics) for metrics in several])
        return cls(**{field.name: float(how(table[:, index])) for index, field in enumerate(fields(cls))})


def calibration_slope(default: Outcomes, probability: Probabilities) -> float:
    """Fit the slope of a logistic regression of the outcome on the predicted log odds (Cox, 1958)."""
    log_odds = logit(np.clip(probability, 1e-6, 1 - 1e-6)).reshape(-1, 1)
    return float(LogisticRegression(C=np.inf).fit(log_odds, default).coef_[0, 0])


def expected_calibration_error(default: Outcomes, probability: Probabilities) -> float:
    """Average the gaps between predicted and observed default rates over bins of equal size, weighted by rows."""
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, CALIBRATION_BINS)
    gaps = [len(rows) * abs(probability[rows].mean() - default[rows].mean()) for rows in bins if len(rows)]
    return float(sum(gaps) / len(order))


@dataclass(frozen=True)
class CrossValidation:
    """The figures of a model over repeated stratified cross-validation.

    Ranking and losses are averaged over folds, as is usual. Calibration is measured on the pooled out-of-fold
    predictions of each repeat, because in one fold of some hundred rows ten bins would mostly measure chance.
    """

    mean: Performance
    sd: Performance
    aucs: list[float]  # by fold

    @classmethod
    def of(cls, default: Outcomes, repeats: list[list[tuple[Rows, Probabilities]]]) -> Self:
        """`repeats` holds, for each repeat and fold, the held-out rows and their predicted probabilities."""
        by_fold = [Performance.of(default[rows], probability) for folds in repeats for rows, probability in folds]
        pooled = []
        for folds in repeats:
            probability = np.empty(len(default))
            for rows, predicted in folds:
                probability[rows] = predicted
            pooled.append(Performance.of(default, probability))
        mean, sd = (_calibration_from(pooled, by_fold, how) for how in (np.mean, np.std))
        return cls(mean, sd, [performance.auc for performance in by_fold])


def _calibration_from(pooled: list[Performance], by_fold: list[Performance], how: Callable[..., float]) -> Performance:
    calibration = Performance.combine(pooled, how)
    return replace(
        Performance.combine(by_fold, how), calibration_slope=calibration.calibration_slope, ece=calibration.ece
    )


def splits(
    default: Outcomes, groups: Rows, seed: int, folds: int = FOLDS, repeats: int = REPEATS
) -> Iterator[tuple[Rows, Rows]]:
    """Give `repeats` times `folds` pairs of (training rows, held-out rows), stratified by outcome.

    Rows of the same group go to the same side, so that an application that was entered twice is not learned by heart.
    """
    for repeat in range(repeats):
        fold_of = np.empty(len(default), dtype=np.int64)
        for fold, (_, held_out) in enumerate(
            StratifiedKFold(folds, shuffle=True, random_state=seed + repeat).split(default, default)
        ):
            fold_of[held_out] = fold
        fold_of = fold_of[groups]
        for fold in range(folds):
            yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


def holdout_split(default: Outcomes, groups: Rows, seed: int) -> tuple[Rows, Rows]:
    """Give four fifths of the rows to train on and one fifth to test on, split differently from `splits`."""
    return next(splits(default, groups, seed + 1_000_000))
