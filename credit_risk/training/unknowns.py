"""What is unknown counts as the worst value that it could have: nobody gains by leaving a field empty.

Every feature has a direction in which it is never better (`features.MONOTONE`). Before training, what is unknown is put
beyond its worst value. After training, each split sends NaN to the side of that value. So the booster itself holds the
guarantee, whoever loads it, and was trained with it: no tree expects an unknown value on the other side.
"""

from __future__ import annotations

import json

import numpy as np
import xgboost as xgb

from credit_risk.model.features import Encoder, Matrix

BELOW_ALL, ABOVE_ALL = -1.0, 1e9  # no feature can have these values


def as_the_worst(matrix: Matrix, encoder: Encoder) -> Matrix:
    """Replace NaN in a matrix (n, features) by a value beyond the worst of its column."""
    worst = np.where(np.array(encoder.monotone_constraints) > 0, ABOVE_ALL, BELOW_ALL).astype(np.float32)
    return np.where(np.isnan(matrix), worst, matrix)


def send_to_the_worse_side(booster: xgb.Booster, encoder: Encoder) -> xgb.Booster:
    """Make a booster that treats NaN as this one treats what `as_the_worst` replaces it by."""
    model = json.loads(booster.save_raw("json"))
    goes_left = [int(constraint < 0) for constraint in encoder.monotone_constraints]
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        tree["default_left"] = [
            0 if left < 0 else goes_left[feature]  # a leaf has no children
            for left, feature in zip(tree["left_children"], tree["split_indices"], strict=True)
        ]
    return xgb.Booster(model_file=bytearray(json.dumps(model).encode()))
