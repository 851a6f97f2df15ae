"""The recipe: from applications to a booster, without files or the model store.

The recipe is fixed and not searched for in each run. Its trees are shallow and strongly regularized, because the signal
in such applications is almost additive. Its number of rounds is fixed, because early stopping leaves the probabilities
too close to the average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer

from credit_risk.contract.application import CATEGORIES, FIELDS, CreditApplication
from credit_risk.model.features import RATIOS, Encoder, Matrix, features_of
from credit_risk.model.table import Columns
from credit_risk.training.unknowns import as_the_worst, send_to_the_worse_side

if TYPE_CHECKING:
    from credit_risk.training.evaluation import Outcomes, Probabilities

ROUNDS = 300
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "eta": 0.05,
    "max_depth": 2,
    "min_child_weight": 10,
    "subsample": 0.7,
    "colsample_bytree": 0.6,
    "lambda": 5,
    "nthread": 1,  # the same sums in the same order give the same booster on any number of cores
}

# The model of the tutorial this service grew from: all 13 fields, missing as 0, deeper trees.
TUTORIAL_ROUNDS = 175
TUTORIAL_PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 3,
    "min_child_weight": 1,
    "nthread": 1,
}


def fit_vectorizer(applications: Sequence[CreditApplication], *, protected: bool) -> DictVectorizer:
    """Fit the columns of the model: each numeric feature and each category that occurs, sorted by name."""
    vectorizer = DictVectorizer(sparse=False, dtype=np.float32)
    return vectorizer.fit([features_of(application, protected=protected) for application in applications])


def train_booster(
    matrix: Matrix,
    default: Outcomes,
    encoder: Encoder,
    *,
    seed: int,
    parameters: Mapping[str, Any] = PARAMETERS,
    rounds: int = ROUNDS,
) -> xgb.Booster:
    """Train on a matrix (n, features) and its outcomes (n,). The same input and seed give the same bytes."""
    fixed = {
        "seed": seed,
        "monotone_constraints": encoder.monotone_constraints,
        "interaction_constraints": _ratios_alone(encoder),
    }
    # One thread, too: with all of them, making a little matrix takes half as long as the training.
    training = xgb.DMatrix(as_the_worst(matrix, encoder), label=default, nthread=1)
    return send_to_the_worse_side(xgb.train({**parameters, **fixed}, training, num_boost_round=rounds), encoder)


def _ratios_alone(encoder: Encoder) -> str:
    """Keep each ratio in trees of its own, so that what it contributes can be shared out among its fields."""
    ratios = [encoder.names.index(name) for name in RATIOS]
    others = [column for column in range(len(encoder.names)) if column not in ratios]
    return str([*([ratio] for ratio in ratios), others])


def train_tutorial_booster(matrix: Matrix, default: Outcomes) -> xgb.Booster:
    """Train the tutorial's booster on a matrix of `tutorial_matrix`, to compare with."""
    data = xgb.DMatrix(matrix, label=default, nthread=1)
    return xgb.train(TUTORIAL_PARAMETERS | {"seed": 1}, data, num_boost_round=TUTORIAL_ROUNDS)


def tutorial_matrix(columns: Columns) -> Matrix:
    """Encode the tutorial's features as a DictVectorizer would: the 13 fields as they are, with 0 for missing."""
    numbers = {name: np.nan_to_num(columns[name]) for name in FIELDS if name not in CATEGORIES}
    words = {
        f"{name}={word}": columns[name] == word
        for name, category in CATEGORIES.items()
        for word in category
        if word in columns[name]
    }
    return np.column_stack([column.astype(np.float32) for _, column in sorted((numbers | words).items())])


def predict(booster: xgb.Booster, matrix: NDArray[np.float32]) -> Probabilities:
    """Predict probabilities of default, (n,)."""
    return np.asarray(booster.inplace_predict(matrix), dtype=np.float64)
