"""From rows to the log odds of default, and to probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.trees import CHUNK, TreeTable

if TYPE_CHECKING:
    import xgboost as xgb

Margins = NDArray[np.float32]  # log odds of default, (n,)


class Scorer:
    """A booster with the encoder that its rows come from."""

    def __init__(self, booster: xgb.Booster, encoder: Encoder) -> None:
        self.encoder = encoder
        self._booster = booster
        self.table = TreeTable.of(booster)
        # One thread a worker: the cores are for other requests, and threads would fight over them.
        booster.set_param({"nthread": 1})

    def margins(self, matrix: Matrix) -> Margins:
        """Log odds of default of each row, (n,); of a row they are the same in any batch."""
        if self.table is not None:
            return self.table.margins(matrix)
        return np.asarray(self._booster.inplace_predict(matrix, predict_type="margin"))

    def score(self, matrix: Matrix) -> tuple[Margins, NDArray[np.intp] | None]:
        """The margins, and the patterns (trees, n) by which a TreeTable looked them up, if one did, for the reasons."""
        if self.table is None or len(matrix) > CHUNK:
            return self.margins(matrix), None
        patterns = self.table.patterns(matrix)
        return self.table.margins_of(patterns), patterns


def probability_of(margin: float) -> float:
    """The probability of default of log odds, unrounded.

    >>> probability_of(0.0)
    0.5
    """
    return 1 / (1 + math.exp(-margin))
