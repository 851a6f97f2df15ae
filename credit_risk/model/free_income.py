"""Shares out what the free income ratio contributes among income, expenses, debt and amount.

The ratio stands in trees of its own, so what it adds to a margin is a step function of it. The shares are the exact
Shapley values of the game in which the fields that play have the applicant's values, and the others the reference's.
With four fields that takes sixteen values of the function.

One thing is put right: if the income is unknown or used up, debt and expenses get shares, too, but the applicant would
not be better off without them. They would not be true as reasons. So what speaks against a field that would change
nothing if it alone were the reference's is left out, unless that is so of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Matrix
from credit_risk.model.ratios import MONTHS_OF_DEBT, RATIO_BY_NAME

RATIO = "free_income_ratio"
FIELDS = RATIO_BY_NAME[RATIO].fields  # income, expenses, debt and amount
ALL = 2 ** len(FIELDS) - 1  # a subset of the fields is a number, with a bit for each that plays, the first the highest
SHARES, ALONE = slice(4), slice(4, 8)  # columns of what _WEIGHTS give
EXACT = 2.0**-40  # sums of a few multiples of it are exact, in whatever order they are added
SCALE = 12  # the least that makes all weights whole numbers


def _weights() -> NDArray[np.float64]:
    """Give the weight of each subset's value in each field's share, and in what the field changes alone, (16, 8)."""
    weights = np.zeros((ALL + 1, 2 * len(FIELDS)))
    for field in range(len(FIELDS)):
        bit = 8 >> field
        for subset in range(ALL + 1):
            others = (subset & ~bit).bit_count()
            weights[subset, field] = (1 if subset & bit else -1) * SCALE / (4 * comb(3, others))
        weights[[ALL, ALL - bit], 4 + field] = SCALE, -SCALE
    return weights


_WEIGHTS = _weights()


class FreeIncomeShares:
    """The shares of rows, against one reference."""

    def __init__(
        self,
        columns: tuple[int, ...],
        ratio: int,
        thresholds: NDArray[np.float32],
        margins: Callable[[Matrix], NDArray[np.float32]],
        reference: Matrix,
    ) -> None:
        """Take the places of FIELDS and of the ratio in a row, the values that the trees split the ratio at, and the
        margins of rows; `reference` is a matrix of one row."""
        self._columns = np.array(columns)
        self._reference = reference[0, self._columns].astype(np.float64)[:, np.newaxis]
        # A ratio below 0 counts as 0, and one that is unknown is sorted behind infinity.
        positive = thresholds[thresholds > 0]
        self._begins = np.append(_least_that_rounds_to(positive), np.inf)
        steps = np.repeat(reference, len(positive) + 2, axis=0)
        steps[:, ratio] = np.concatenate(([np.float32(0)], positive, [np.float32(np.nan)]))
        # The function, but for a constant and the scale of the weights.
        self._steps = np.round(margins(steps).astype(np.float64) / SCALE / EXACT) * EXACT

    def shares(self, matrix: Matrix) -> NDArray[np.float64]:
        """Give the share of each of FIELDS in the margin of each row of a matrix (n, features), as (n, 4)."""
        rows = len(matrix)
        values = np.empty((2, len(FIELDS), rows))  # the reference's and the applicant's
        values[0] = self._reference
        values[1] = matrix.take(self._columns, axis=1).T
        income, expenses, debt, amount = values[:, 0], values[:, 1], values[:, 2] / MONTHS_OF_DEBT, values[:, 3]
        free = (income[:, np.newaxis] - expenses)[:, :, np.newaxis] - debt
        ratio = (free[:, :, :, np.newaxis] / amount).reshape(ALL + 1, rows)  # by subset
        found = self._steps.take(self._begins.searchsorted(ratio, side="right")).T.dot(_WEIGHTS)
        against = found > 0
        idle = against[:, SHARES] > against[:, ALONE]
        if np.count_nonzero(idle):
            _leave_out(found, idle & against[:, ALONE].any(axis=1, keepdims=True))
        shares: NDArray[np.float64] = found[:, SHARES]
        return shares


def _leave_out(found: NDArray[np.float64], idle: NDArray[np.bool_]) -> None:
    found[:, SHARES][idle] = 0.0


def _least_that_rounds_to(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Find the least float64 that is rounded to each value or more, because the trees compare in float32."""
    middle = (np.nextafter(values, np.float32(-np.inf)).astype(np.float64) + values) / 2
    return np.where(middle.astype(np.float32) >= values, middle, np.nextafter(middle, np.inf))
