"""The figures of the model card: what a sample of predictions says about a model, cutoffs and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import POINTS_TO_DOUBLE_ODDS, STATUSES, Status, score_of
from credit_risk.contract.policy import Policy
from credit_risk.training.evaluation import CALIBRATION_BINS, Outcomes, Probabilities

MOST_POINTS = 10_000  # of a ROC curve; more would be larger than the model, and no finer on paper
CUTOFFS = tuple(percent / 100 for percent in range(5, 95, 5))


@dataclass(frozen=True)
class Sample:
    """n applications with known outcomes, and the predictions of a model that had not seen them."""

    applications: Sequence[CreditApplication]
    default: Outcomes
    probability: Probabilities


@dataclass(frozen=True)
class Economics:
    """What a loan earns if it is paid back and loses if it is not, as shares of the loan. All loans are alike."""

    margin: float
    loss_given_default: float

    @property
    def break_even(self) -> float:
        """The probability of default p at which a loan earns nothing: (1 - p) margin = p loss, so m / (m + l)."""
        return self.margin / (self.margin + self.loss_given_default)


@dataclass(frozen=True)
class Roc:
    """The shares of good and bad applicants whose probability of default is at least a threshold, and their gap."""

    threshold: list[float]  # falling
    good: list[float]  # false positive rate
    bad: list[float]  # true positive rate
    ks: float  # the largest gap
    ks_probability: float  # the threshold where it lies
    ks_score: int  # the same in points


@dataclass(frozen=True)
class Calibration:
    """The predicted and observed default rates of n applicants, with the 95 % interval of the observed one."""

    n: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class CutoffRow:
    """What happens if everybody up to a cutoff is approved."""

    cutoff: float
    marks: list[str]  # why it is in the table, unless it is a round number
    approved: float  # share of all
    bad_rate: float | None  # of the approved; None where nobody is
    bads_caught: float  # share of the bad who are not approved
    profit: float  # for each application, approved or not, as a share of a loan


@dataclass(frozen=True)
class Beyond:
    """The applications that a cutoff approves although their probability of default is above break-even."""

    n: int
    share: float  # of all
    bad_rate: float
    profit: float  # for each application, approved or not, as a share of a loan


def roc(default: Outcomes, probability: Probabilities) -> Roc:
    """Compute the ROC curve, rounded to 5 places, and the Kolmogorov-Smirnov statistic, max |F_bad - F_good|."""
    good, bad, threshold = roc_curve(default, probability, drop_intermediate=False)
    threshold = np.minimum(threshold, 1)  # the first is infinite, which JSON does not know; 1 excludes as many
    at = int(np.argmax(bad - good))
    gap, where, score = float(bad[at] - good[at]), float(threshold[at]), int(scores(threshold)[at])
    shown = np.union1d(np.linspace(0, len(threshold) - 1, MOST_POINTS).round().astype(np.int64), at)
    threshold, good, bad = np.round([threshold[shown], good[shown], bad[shown]], 5)
    return Roc(threshold.tolist(), good.tolist(), bad.tolist(), gap, where, score)


def scores(probability: Probabilities) -> NDArray[np.int64]:
    """Convert probabilities of default (n,) into points (n,), short of 0 and 1, where points are infinite."""
    return np.array([score_of(margin) for margin in logit(np.clip(probability, 1e-6, 1 - 1e-6))])


def score_bands(default: Outcomes, probability: Probabilities) -> dict[int, tuple[int, int]]:
    """Count good and bad applicants by the lower end of their score's band, which is as wide as doubles the odds."""
    starts = scores(probability) // POINTS_TO_DOUBLE_ODDS * POINTS_TO_DOUBLE_ODDS
    good, bad = (Counter(starts[default == outcome].tolist()) for outcome in (0, 1))
    bands = range(int(starts.min()), int(starts.max()) + 1, POINTS_TO_DOUBLE_ODDS)
    return {band: (good[band], bad[band]) for band in bands}


def calibration(default: Outcomes, probability: Probabilities) -> Calibration:
    """Compare n > 0 applicants, with Wilson's interval (Journal of the American Statistical Association 22, 1927)."""
    interval = binomtest(int(default.sum()), len(default)).proportion_ci(0.95, "wilson")
    return Calibration(len(default), *map(float, (probability.mean(), default.mean(), interval.low, interval.high)))


def reliability(default: Outcomes, probability: Probabilities) -> list[Calibration]:
    """Compare each tenth of the applicants, the least likely to default first: the bins of `Performance.ece`."""
    bins = np.array_split(np.argsort(probability, kind="stable"), CALIBRATION_BINS)
    return [calibration(default[rows], probability[rows]) for rows in bins if len(rows)]


def cutoff_table(
    default: Outcomes, probability: Probabilities, economics: Economics, marks: Mapping[str, float]
) -> list[CutoffRow]:
    """Make a row for each of CUTOFFS and each cutoff in `marks` (why it matters -> cutoff), rising.

    Profit is what the approved would have earned: the margin of each good one, less the loss of each bad one.
    """
    rows = []
    for cutoff in sorted({*CUTOFFS, *marks.values()}):
        approved = default[probability <= cutoff]
        n, bad = len(approved), int(approved.sum())
        earned = (n - bad) * economics.margin - bad * economics.loss_given_default
        names = [name for name, marked in marks.items() if marked == cutoff]
        caught, bad_rate = float(1 - bad / default.sum()), bad / n if n else None
        rows.append(CutoffRow(cutoff, names, n / len(default), bad_rate, caught, earned / len(default)))
    return rows


def beyond_break_even(
    default: Outcomes, probability: Probabilities, economics: Economics, cutoff: float
) -> Beyond | None:
    """Tell what a cutoff above break-even approves beyond it; None if there is nothing."""
    beyond = default[(probability > economics.break_even) & (probability <= cutoff)]
    if not len(beyond):
        return None
    earned = (beyond == 0).sum() * economics.margin - beyond.sum() * economics.loss_given_default
    return Beyond(len(beyond), len(beyond) / len(default), float(beyond.mean()), float(earned / len(default)))


def mean_absolute(contributions: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Average by how many points each group's SHAP values (Lundberg and Lee, 2017), log odds (n,), move the score."""
    points = POINTS_TO_DOUBLE_ODDS / np.log(2)
    means = {group: float(np.abs(values).mean() * points) for group, values in contributions.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def decide(policy: Policy, sample: Sample) -> list[Status]:
    """Decide the applications of a sample."""
    pairs = zip(sample.probability.tolist(), sample.applications, strict=True)
    return [policy.decide(probability, application).status for probability, application in pairs]


@dataclass(frozen=True)
class SampleFigures:
    """All figures of one sample."""

    n: int
    statuses: dict[str, float]  # share of each
    roc: Roc
    reliability: list[Calibration]
    score_bands: dict[int, tuple[int, int]]
    cutoffs: list[CutoffRow]
    beyond_break_even: Beyond | None

    @classmethod
    def of(cls, sample: Sample, policy: Policy, economics: Economics) -> Self:
        data, cutoffs = (sample.default, sample.probability), policy.cutoffs
        statuses = decide(policy, sample)
        marks = {"review": cutoffs.review_above, "decline": cutoffs.decline_above, "break-even": economics.break_even}
        return cls(
            n=len(statuses),
            statuses={name: statuses.count(name) / len(statuses) for name in STATUSES},
            roc=roc(*data),
            reliability=reliability(*data),
            score_bands=score_bands(*data),
            cutoffs=cutoff_table(*data, economics, marks),
            beyond_break_even=beyond_break_even(*data, economics, cutoffs.review_above),
        )
