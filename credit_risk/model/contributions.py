"""Exact contributions of groups of features to a margin, against a reference row: tabulated for trees of depth 2.

Contributions are Shapley values (1953) of the game in which the groups that play have the row's values, and the others
have the reference's ("baseline Shapley": Sundararajan and Najmi, The many Shapley values for model explanation, ICML
2020). So they add up to the difference between the two margins. A tree of depth 2 has at most three splits: its
contributions depend on which of eight patterns the row makes, and can be tabulated like its leaves. To explain a row,
one row of each table is added up.
"""

from __future__ import annotations

import math
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
PATTERNS = 8  # of outcomes of the splits: went left at the root, at its left child, at its right child
BIT_OF_SPLIT = (0b100, 0b010, 0b001)  # in a pattern
# The ways in which the splits of a tree can belong to the same groups.
PARTITIONS = (((0,), (1,), (2,)), ((0, 1), (2,)), ((0, 2), (1,)), ((0,), (1, 2)), ((0, 1, 2),))


class ContributionTable:
    """Looks up how much groups of features contribute to the margins of a TreeTable."""

    def __init__(self, trees: TreeTable, group_of: Sequence[int | None], groups: int, reference: Matrix) -> None:
        """`group_of` is the group of each feature, by column, if it has any; `reference` is a matrix of one row."""
        self._trees = trees
        self._groups = groups
        group = numbered(group_of, groups)[trees.split_features]  # (trees, SPLITS)
        by_split = _shapley_values(trees, group, trees.patterns(reference)[:, 0] % PATTERNS)
        table = np.zeros((trees.count, PATTERNS, groups + 1))
        for split in range(SPLITS):
            table[np.arange(trees.count), :, group[:, split]] += by_split[split].T
        self._table = _summable(table[:, :, :groups]).reshape(-1, groups)
        self._ones = np.ones(trees.count, dtype=np.float32)

    def contributions(self, matrix: Matrix) -> Contributions:
        """Give the contributions of each row of a matrix (n, features), as (n, groups)."""
        found = np.empty((len(matrix), self._groups), dtype=np.float32)
        for start in range(0, len(matrix), CHUNK):
            found[start : start + CHUNK] = self.of_patterns(self._trees.patterns(matrix[start : start + CHUNK]))
        return found

    def of_patterns(self, patterns: NDArray[np.intp]) -> Contributions:
        """Give the contributions of rows with these patterns (trees, n), as (n, groups)."""
        # A product with ones adds up faster than a sum does, in an order that depends on the number of rows.
        added: Contributions = self._ones.dot(self._table.take(patterns, axis=0).reshape(len(patterns), -1))
        return added.reshape(patterns.shape[1], self._groups)


def _summable(table: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round a table (trees, patterns, groups) so that sums over the trees are exact in float32, in whatever order.

    Whole multiples of a power of two add up exactly as long as they fit into the 24 bits of a float32.
    """
    largest = float(np.abs(table).max(axis=1).sum(axis=0).max(initial=0.0))
    unit = 2.0 ** (math.frexp(largest)[1] - 23)
    return (np.round(table / unit) * unit).astype(np.float32)


def numbered(group_of: Sequence[int | None], groups: int) -> NDArray[np.intp]:
    """Number what is in no group as one more."""
    return np.array([groups if group is None else group for group in group_of], dtype=np.intp)


def _shapley_values(trees: TreeTable, group: NDArray[np.intp], reference: NDArray[np.intp]) -> NDArray[np.float64]:
    """Give the value of each split, pattern and tree, (SPLITS, PATTERNS, trees). Splits of one group share the first's.

    `group` is the group of each split, (trees, SPLITS), and `reference` the pattern of the reference, (trees,).
    """
    found = np.zeros((SPLITS, PATTERNS, trees.count))
    for partition in PARTITIONS:
        of_this = _is_partition(group, partition)
        for player in partition:
            others = [other for other in partition if other != player]
            for playing in chain.from_iterable(combinations(others, size) for size in range(len(others) + 1)):
                chance = factorial(len(playing)) * factorial(len(others) - len(playing)) / factorial(len(partition))
                before, after = (_values(trees, reference, set(chain(*p))) for p in (playing, (*playing, player)))
                found[player[0]] += np.where(of_this, chance * (after - before), 0.0)
    return found


def _values(trees: TreeTable, reference: NDArray[np.intp], splits: set[int]) -> NDArray[np.float64]:
    """Give the trees' values by pattern, (PATTERNS, trees), if these splits go as the row does."""
    from_row = sum(BIT_OF_SPLIT[split] for split in splits)
    mixed = (np.arange(PATTERNS)[:, np.newaxis] & from_row) | (reference & ~from_row)
    leaves = trees.leaves.reshape(trees.count, PATTERNS).astype(np.float64)
    values: NDArray[np.float64] = leaves[np.arange(trees.count), mixed]
    return values


def _is_partition(group: NDArray[np.intp], partition: tuple[tuple[int, ...], ...]) -> NDArray[np.bool_]:
    """Tell for which trees, (trees,), the splits that the partition puts together, and only those, share a group."""
    player_of = {split: player for player in partition for split in player}
    pairs = combinations(range(SPLITS), 2)
    same = [(group[:, a] == group[:, b]) == (player_of[a] == player_of[b]) for a, b in pairs]
    together: NDArray[np.bool_] = same[0] & same[1] & same[2]
    return together
