"""Exact contributions of the features to a margin (SHAP values), tabulated for trees of depth 2.

Contributions are Shapley values of the game in which a tree knows some features and averages over the others, weighted
by the training rows that went each way (Lundberg et al., From local explanations to global understanding with
explainable AI for trees, Nature Machine Intelligence 2 (2020), algorithm 2; this is what XGBoost's `pred_contribs`
computes). A tree of depth 2 has at most three splits, so its contributions depend on which of eight patterns a row
makes, and can be tabulated like its leaves. To explain a row, one row of each table is added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.trees import CHUNK, SPLITS, TreeTable

if TYPE_CHECKING:
    from credit_risk.model.features import Matrix

Contributions = NDArray[np.float32]  # (n, groups), in log odds of default
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]  # values of the left and the right child
Known = tuple[bool, ...]  # by split: whether its outcome is known
PATTERNS = 8  # of outcomes of the splits: went left at the root, at its left child, at its right child
# The ways in which the splits of a tree can share features.
PARTITIONS = (((0,), (1,), (2,)), ((0, 1), (2,)), ((0, 2), (1,)), ((0,), (1, 2)), ((0, 1, 2),))


class ContributionTable:
    """Looks up how much groups of features contribute to the margins of a TreeTable."""

    def __init__(self, trees: TreeTable, group_of: Sequence[int], groups: int) -> None:
        """`group_of` is the group of each feature, by column. The contributions of a group's features are added up."""
        self._trees = trees
        self._groups = groups
        by_split = _shapley_values(trees)  # (SPLITS, PATTERNS, trees)
        table = np.zeros((trees.count, PATTERNS, groups))
        group = np.asarray(group_of)[trees.split_features]  # (trees, SPLITS)
        for split in range(SPLITS):
            table[np.arange(trees.count), :, group[:, split]] += by_split[split].T
        self._table = table.reshape(-1, groups).astype(np.float32)

    def contributions(self, matrix: Matrix) -> Contributions:
        """Give the contributions of each row of a matrix (n, features), as (n, groups)."""
        found = np.empty((len(matrix), self._groups), dtype=np.float32)
        for start in range(0, len(matrix), CHUNK):
            found[start : start + CHUNK] = self.of_patterns(self._trees.patterns(matrix[start : start + CHUNK]))
        return found

    def of_patterns(self, patterns: NDArray[np.intp]) -> Contributions:
        """Give the contributions of rows with these patterns (trees, n), as (n, groups)."""
        added: Contributions = np.add.reduce(np.take(self._table, patterns, axis=0), axis=0)
        return added


def _shapley_values(trees: TreeTable) -> NDArray[np.float64]:
    """Give the value of each split, pattern and tree, (SPLITS, PATTERNS, trees). Splits on one feature share it."""
    values = {known: _expected(trees, known) for known in _subsets_of_splits()}
    found = np.zeros((SPLITS, PATTERNS, trees.count))
    for partition in PARTITIONS:
        of_this = _is_partition(trees.split_features, partition)
        for player in partition:
            others = [other for other in partition if other != player]
            for known_others in chain.from_iterable(combinations(others, size) for size in range(len(others) + 1)):
                before = set(chain.from_iterable(known_others))
                size = len(known_others)
                chance = factorial(size) * factorial(len(others) - size) / factorial(len(partition))
                gained = values[_known(before | set(player))] - values[_known(before)]
                found[player[0]] += np.where(of_this, chance * gained, 0.0)
    return found


def _expected(trees: TreeTable, known: Known) -> NDArray[np.float64]:
    """Give the trees' values by pattern, (PATTERNS, trees), if only these outcomes are known."""
    leaves = trees.leaves.reshape(trees.count, PATTERNS).astype(np.float64)
    left_leaves, right_leaves = (leaves[:, 0b110], leaves[:, 0b100]), (leaves[:, 0b001], leaves[:, 0b000])

    def split(
        number: int, goes_left: int, pair: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        if known[number]:
            return pair[0] if goes_left else pair[1]
        share = trees.shares[:, number]
        return share * pair[0] + (1 - share) * pair[1]

    return np.array(
        [
            split(0, pattern & 4, (split(1, pattern & 2, left_leaves), split(2, pattern & 1, right_leaves)))
            for pattern in range(PATTERNS)
        ]
    )


def _is_partition(features: NDArray[np.intp], partition: tuple[tuple[int, ...], ...]) -> NDArray[np.bool_]:
    """Tell which trees, (trees,), use one feature at exactly the splits that the partition puts together."""
    player_of = {split: player for player in partition for split in player}
    pairs = combinations(range(SPLITS), 2)
    same = [(features[:, a] == features[:, b]) == (player_of[a] == player_of[b]) for a, b in pairs]
    together: NDArray[np.bool_] = same[0] & same[1] & same[2]
    return together


def _known(splits: set[int]) -> Known:
    return tuple(split in splits for split in range(SPLITS))


def _subsets_of_splits() -> list[Known]:
    return [_known(set(chosen)) for size in range(SPLITS + 1) for chosen in combinations(range(SPLITS), size)]
