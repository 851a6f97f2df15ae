"""From rows to the log odds of default, and to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Encoder, Matrix

if TYPE_CHECKING:
    import xgboost as xgb

Margins = NDArray[np.float64]  # log odds of default, (n,)


class Scorer:
    """A booster with the encoder that its rows come from."""

    def __init__(self, booster: xgb.Booster, encoder: Encoder) -> None:
        self._booster = booster
        self.encoder = encoder
        # One thread a worker: the cores are for other requests, and threads would fight over them.
        booster.set_param({"nthread": 1})

    def margins(self, matrix: Matrix) -> Margins:
        """Log odds of default of each row, (n,); of a row they are the same in any batch."""
        return np.asarray(self._booster.inplace_predict(matrix, predict_type="margin"), dtype=np.float64)


def probability_of(margin: float) -> float:
    """The probability of default of log odds, unrounded.

    >>> probability_of(0.0)
    0.5
    """
    return float(1 / (1 + np.exp(-margin)))
