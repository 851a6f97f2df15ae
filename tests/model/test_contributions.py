"""Contributions of groups of features, for shallow and for deep trees, against the definition itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray

from credit_risk.model.contributions import ContributionTable
from credit_risk.model.features import Matrix
from credit_risk.model.leaves import LeafTable
from credit_risk.model.trees import TreeTable, trees_of

ROWS = 200


def shapley_values(value: Callable[[frozenset[int]], NDArray[np.float64]], players: int) -> NDArray[np.float64]:
    """The definition: what each of so many players gains on average over all orders, (n, players)."""
    values = {
        frozenset(playing): value(frozenset(playing))
        for size in range(players + 1)
        for playing in combinations(range(players), size)
    }
    found = np.zeros((len(values[frozenset()]), players))
    for player in range(players):
        for playing, before in values.items():
            if player not in playing:
                chance = factorial(len(playing)) * factorial(players - len(playing) - 1) / factorial(players)
                found[:, player] += chance * (values[playing | {player}] - before)
    return found


def random_booster(depth: int, features: int) -> tuple[xgb.Booster, Matrix]:
    rng = np.random.default_rng(features)
    matrix = rng.normal(size=(500, features)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    label = rng.random(500) < 1 / (1 + np.exp(-np.nan_to_num(matrix).sum(axis=1)))
    trained = xgb.train({"max_depth": depth, "objective": "binary:logistic"}, xgb.DMatrix(matrix, label), 30)
    return xgb.Booster(model_file=bytearray(trained.save_raw("ubj"))), matrix


def by_definition(booster: xgb.Booster, matrix: Matrix, reference: Matrix, group_of: list[int]) -> NDArray[np.float64]:
    def value(playing: frozenset[int]) -> NDArray[np.float64]:
        mixed = np.where(np.isin(group_of, list(playing)), matrix, reference)
        return np.asarray(booster.inplace_predict(mixed, predict_type="margin"), dtype=np.float64)

    return shapley_values(value, max(group_of) + 1)


# Few groups make the splits of a tree share them in all the ways that there are.
GROUPS = {1: [0], 2: [0, 1], 3: [0, 1, 2], 5: [0, 1, 1, 0, 2]}


@pytest.mark.parametrize("features", GROUPS)
def test_tabulated_contributions_are_shapley_values(features: int) -> None:
    booster, matrix = random_booster(2, features)
    trees = TreeTable.of(booster)
    assert trees is not None
    groups = max(GROUPS[features]) + 1
    for reference in (matrix[:1], matrix[1:2], np.full((1, features), np.nan, dtype=np.float32)):
        found = ContributionTable(trees, GROUPS[features], groups, reference).contributions(matrix)
        np.testing.assert_allclose(found, by_definition(booster, matrix, reference, GROUPS[features]), atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 4, 6])
@pytest.mark.parametrize("features", GROUPS)
def test_those_of_trees_of_any_depth_are_too(features: int, depth: int) -> None:
    booster, matrix = random_booster(depth, features)
    groups = max(GROUPS[features]) + 1
    reference = matrix[:1]
    found = LeafTable(trees_of(booster), GROUPS[features], groups, reference).contributions(matrix)
    np.testing.assert_allclose(found, by_definition(booster, matrix, reference, GROUPS[features]), atol=1e-5)


def test_the_company_of_a_row_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    booster, matrix = random_booster(4, 5)
    table = LeafTable(trees_of(booster), GROUPS[5], 3, matrix[:1])
    together = table.contributions(matrix)
    monkeypatch.setattr("credit_risk.model.leaves.CELLS", 1)  # one row at once
    np.testing.assert_array_equal(table.contributions(matrix), together)


def test_what_is_in_no_group_is_left_out() -> None:
    booster, matrix = random_booster(2, 3)
    trees = TreeTable.of(booster)
    assert trees is not None
    expected = by_definition(booster, matrix, matrix[:1], [0, 1, 2])[:, [0, 2]]
    for table in (
        ContributionTable(trees, [0, None, 1], 2, matrix[:1]),
        LeafTable(trees_of(booster), [0, None, 1], 2, matrix[:1]),
    ):
        np.testing.assert_allclose(table.contributions(matrix), expected, atol=1e-5)
