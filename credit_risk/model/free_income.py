"""Shares out what the free income ratio contributes among income, expenses, debt and amount.

The ratio stands in trees of its own, so what it adds to a margin is a step function of it. The shares are the exact
Shapley values of the game in which the fields that play have the applicant's values, and the others the reference's.
With four fields that takes sixteen values of the function.

One thing is put right: if the income is unknown or used up, debt and expenses get shares, too, but the applicant would
not be better off without them. They would not be true as reasons. So a field that would change nothing if it alone were
the reference's hands what speaks against it over to those that would.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Matrix
from credit_risk.model.ratios import MONTHS_OF_DEBT

FIELDS = ("income", "expenses", "debt", "amount")
SUBSETS = 2 ** len(FIELDS)  # numbers whose bits say which fields play
_PLAYS = np.array([[subset >> field & 1 > 0 for subset in range(SUBSETS)] for field in range(4)])[:, :, np.newaxis]
# For each field the subsets with it, (8, 4), those that it has joined, and how much each counts.
_WITH = np.array([[subset for subset in range(SUBSETS) if subset >> field & 1] for field in range(4)]).T
_WITHOUT = _WITH - 2 ** np.arange(4)
_WEIGHTS = np.array([[[1 / (4 * comb(3, subset.bit_count() - 1))] for subset in row] for row in _WITH.tolist()])


def _hand_over(shares: NDArray[np.float64], alone: NDArray[np.float64], idle: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the shares of idle fields to those that change something alone, in proportion; all are (n, 4)."""
    receiving = np.maximum(alone, 0.0)
    total = receiving.sum(axis=1, keepdims=True)
    idle = idle & (total > 0)
    given = np.where(idle, shares, 0.0).sum(axis=1, keepdims=True)
    handed_over: NDArray[np.float64] = np.where(idle, 0.0, shares) + given * receiving / np.where(total > 0, total, 1.0)
    return handed_over


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
        self._thresholds = thresholds
        self._reference = reference[0, self._columns].astype(np.float64)[:, np.newaxis, np.newaxis]
        steps = np.repeat(reference, len(thresholds) + 1, axis=0)
        steps[:, ratio] = np.append(np.float32(-1), thresholds)
        self._steps = margins(steps).astype(np.float64)  # the function, but for a constant; by thresholds passed

    def shares(self, matrix: Matrix) -> NDArray[np.float64]:
        """Give the share of each of FIELDS in the margin of each row of a matrix (n, features), as (n, 4)."""
        applicant = matrix.take(self._columns, axis=1).T[:, np.newaxis]  # (4, 1, n)
        income, expenses, debt, amount = np.where(_PLAYS, applicant, self._reference)  # (16, n) each
        ratio = np.maximum(0.0, income - expenses - debt / MONTHS_OF_DEBT) / amount
        known = np.fmax(ratio, -1.0).astype(np.float32)  # NaN is worse than 0
        values = self._steps.take(self._thresholds.searchsorted(known, side="right"))
        gained = values.take(_WITH, axis=0) - values.take(_WITHOUT, axis=0)  # (8, 4, n)
        shares: NDArray[np.float64] = np.add.reduce(gained * _WEIGHTS, axis=0).T
        alone = gained[-1].T  # what each field changes if the others stay
        idle = (shares > 0) & (alone <= 0)
        return _hand_over(shares, alone, idle) if idle.any() else shares
