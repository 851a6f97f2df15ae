"""Models to compare with that a validator knows: logistic regressions and weight-of-evidence scorecards, untuned.

Each takes the eleven fields besides age and marital status; some take two ratios as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from credit_risk.contract.application import CATEGORIES, FIELDS
from credit_risk.model.features import CATEGORICAL, PROTECTED_NUMERIC
from credit_risk.model.ratios import EARLIER_RATIO, RATIO_BY_NAME
from credit_risk.model.table import Columns
from credit_risk.training.evaluation import Outcomes, Probabilities, Rows

Benchmark = Callable[[Columns, Outcomes, Rows, Rows], Probabilities]  # of the held-out rows, fitted on the others
NUMERIC_FIELDS = tuple(name for name in FIELDS if name not in (*CATEGORIES, *PROTECTED_NUMERIC))
# The data's own repository has these. With free_income_ratio, the logistic regression would be easier to beat.
RATIOS = ("financing_ratio", EARLIER_RATIO)
BINS = 10
Values = NDArray[Any]


def numeric_columns(columns: Columns, *, ratios: bool) -> list[Values]:
    """Give the numeric fields, and with `ratios` two of them. A missing value is NaN."""
    fields = [columns[name] for name in NUMERIC_FIELDS]
    return [*fields, *(RATIO_BY_NAME[name].of_columns(columns) for name in RATIOS)] if ratios else fields


@dataclass(frozen=True)
class LogisticBenchmark:
    """A logistic regression on standardized numbers, with a column for each category and each missing value."""

    logarithms: bool = False
    ratios: bool = False

    def __call__(self, columns: Columns, default: Outcomes, fitted: Rows, held_out: Rows) -> Probabilities:
        numbers = np.column_stack(numeric_columns(columns, ratios=self.ratios))
        if self.logarithms:
            numbers = np.log1p(numbers)
        words = [columns[name][:, None] == np.unique(columns[name][fitted]) for name in CATEGORICAL]
        design = np.hstack([numbers, *words])
        model = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(max_iter=1000)
        )
        model.fit(design[fitted], default[fitted])
        return np.asarray(model.predict_proba(design[held_out])[:, 1])


@dataclass(frozen=True)
class ScorecardBenchmark:
    """A scorecard: a logistic regression on the weight of evidence of each bin (Siddiqi, Credit Risk Scorecards, 2006).

    Bins are tenths of the training rows; a missing value and each category is a bin of its own.
    """

    ratios: bool = False

    def __call__(self, columns: Columns, default: Outcomes, fitted: Rows, held_out: Rows) -> Probabilities:
        binned = [tenths(values, fitted) for values in numeric_columns(columns, ratios=self.ratios)]
        binned += [np.searchsorted(np.unique(columns[name]), columns[name]) for name in CATEGORICAL]
        design = np.column_stack([Evidence.of(bins[fitted], default[fitted])(bins) for bins in binned])
        model = LogisticRegression(max_iter=1000).fit(design[fitted], default[fitted])
        return np.asarray(model.predict_proba(design[held_out])[:, 1])


def tenths(values: Values, fitted: Rows) -> Rows:
    """Number the bins of values (n,): tenths of the known fitted ones, and one more for missing values."""
    edges = np.unique(np.nanquantile(values[fitted], np.arange(1, BINS) / BINS))
    return np.where(np.isnan(values), BINS, np.searchsorted(edges, values))


@dataclass(frozen=True)
class Evidence:
    """The weight of evidence of each bin: the logarithm of its odds of default, less that of all."""

    weights: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, bins: Rows, default: Outcomes) -> Evidence:
        """Weigh the bins of applicants (n,). Half an applicant of each outcome more keeps the odds finite."""
        bad, good = (np.bincount(bins[default == outcome], minlength=bins.max() + 1) + 0.5 for outcome in (1, 0))
        return cls(np.log(bad / good) - np.log(default.sum() / (len(default) - default.sum())))

    def __call__(self, bins: Rows) -> NDArray[np.float64]:
        """Look the weights up; a bin that was not there to be weighed says nothing."""
        known = bins < len(self.weights)
        return np.where(known, self.weights[np.where(known, bins, 0)], 0.0)


BENCHMARKS: dict[str, Benchmark] = {
    "logistic regression": LogisticBenchmark(),
    "logistic regression, logarithms and ratios": LogisticBenchmark(logarithms=True, ratios=True),
    "scorecard": ScorecardBenchmark(),
    "scorecard with ratios": ScorecardBenchmark(ratios=True),
}
