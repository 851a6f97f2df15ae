"""The table against the booster it is made of: the same margins, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from credit_risk.model.features import Matrix
from credit_risk.model.trees import TreeTable

FEATURES = 5


def sample(rows: int, seed: int) -> tuple[Matrix, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 0] = rng.integers(0, 3, rows)
    odds = np.nan_to_num(matrix[:, 1]) + (matrix[:, 0] == 2) - np.isnan(matrix[:, 2])
    return matrix, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.float32)


def boosted(*, depth: int, seed: int = 0, rounds: int = 60, **parameters: object) -> xgb.Booster:
    matrix, label = sample(2000, seed)
    parameters = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1} | parameters
    trained = xgb.train(parameters, xgb.DMatrix(matrix, label=label), num_boost_round=rounds)
    loaded = xgb.Booster({"nthread": 1})
    loaded.load_model(trained.save_raw("ubj"))
    return loaded


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_table_is_the_booster_to_the_last_bit(depth: int, seed: int) -> None:
    booster = boosted(depth=depth, seed=seed, eta=0.1 + seed / 10, gamma=float(seed))
    table = TreeTable.of(booster)
    assert table is not None
    matrix, _ = sample(3000, seed=99)
    expected = booster.inplace_predict(matrix, predict_type="margin")
    assert len(np.unique(expected)) > 50
    np.testing.assert_array_equal(table.margins(matrix), expected)
    for rows in (1, 2, 3, 31, 100, 511, 512, 513, 1025):
        np.testing.assert_array_equal(table.margins(matrix[:rows]), expected[:rows])


BOOSTER = boosted(depth=2)
TABLE = TreeTable.of(BOOSTER)
VALUES = st.floats(width=32, allow_infinity=False)


@given(rows=st.lists(st.lists(VALUES, min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=6))
def test_any_row_is_scored_as_the_booster_does(rows: list[list[float]]) -> None:
    assert TABLE is not None
    matrix = np.array(rows, dtype=np.float32)
    np.testing.assert_array_equal(TABLE.margins(matrix), BOOSTER.inplace_predict(matrix, predict_type="margin"))


def test_trees_that_never_split_are_trees() -> None:
    booster = boosted(depth=2, gamma=1e9)
    table = TreeTable.of(booster)
    assert table is not None
    matrix, _ = sample(10, seed=1)
    np.testing.assert_array_equal(table.margins(matrix), booster.inplace_predict(matrix, predict_type="margin"))


def test_deeper_trees_have_no_table() -> None:
    assert TreeTable.of(boosted(depth=3)) is None
