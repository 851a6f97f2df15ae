"""The scorer: from encoded rows to the log odds of default, and to probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Matrix
from credit_risk.model.trees import CHUNK, TreeTable

if TYPE_CHECKING:
    import xgboost as xgb

Margins = NDArray[np.float32]  # log odds of default, (n,)


class Scorer:
    """Scores rows with a booster, by looking its trees up where that is exact."""

    def __init__(self, booster: xgb.Booster) -> None:
        self._booster = booster
        self.table = TreeTable.of(booster)
        # One thread for each worker: more would fight over the cores.
        booster.set_param({"nthread": 1})

    def margins(self, matrix: Matrix) -> Margins:
        """Give the log odds of default of each row, (n,). They do not depend on the other rows of the batch."""
        if self.table is not None:
            return self.table.margins(matrix)
        return np.asarray(self._booster.inplace_predict(matrix, predict_type="margin"))

    def score(self, matrix: Matrix) -> tuple[Margins, NDArray[np.intp] | None]:
        """Give the margins and, if a TreeTable looked them up, the patterns (trees, n) to find reasons by."""
        if self.table is None or len(matrix) > CHUNK:
            return self.margins(matrix), None
        patterns = self.table.patterns(matrix)
        return self.table.margins_of(patterns), patterns


def probability_of(margin: float) -> float:
    """Convert log odds into a probability of default, unrounded.

    >>> probability_of(0.0)
    0.5
    """
    return 1 / (1 + math.exp(-margin))
