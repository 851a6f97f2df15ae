"""Exact contributions of groups of features to a margin, against a reference row, for trees of any depth.

They are those of `contributions`, for boosters that no TreeTable describes. A leaf counts for the coalitions of groups
that lead to it: the groups on its path whose splits only the row passes must play, those whose splits only the
reference passes must not, and if there is one that neither passes, no coalition leads there. What a group gains by
playing then depends on how many there are of each (Lundberg et al., From local explanations to global understanding
with explainable AI for trees, Nature Machine Intelligence 2 (2020), algorithm 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import factorial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.contributions import numbered

if TYPE_CHECKING:
    from credit_risk.model.contributions import Contributions
    from credit_risk.model.features import Matrix

CELLS = 2**22  # rows times splits on the ways to all leaves, at once


class _Split(NamedTuple):
    """A split on the way to a leaf."""

    feature: int
    threshold: np.float32
    goes_left: bool
    missing_goes_left: bool


class LeafTable:
    """Computes how much groups of features contribute to the margins of a booster's trees."""

    def __init__(
        self, trees: Sequence[dict[str, Any]], group_of: Sequence[int | None], groups: int, reference: Matrix
    ) -> None:
        """`trees` are as XGBoost's JSON describes them; the rest is as in a ContributionTable."""
        leaves = [leaf for tree in trees for leaf in _leaves(tree)]
        depth = max((len(splits) for splits, _ in leaves), default=0)
        never = _Split(0, np.float32(np.inf), goes_left=True, missing_goes_left=True)  # every value passes
        splits = np.array([[*splits, *[never] * (depth - len(splits))] for splits, _ in leaves], dtype=np.float64)
        self._feature, threshold, goes_left, missing = splits.reshape(len(leaves), depth, 4).transpose(2, 0, 1)
        self._feature, self._threshold = self._feature.astype(np.intp), threshold.astype(np.float32)
        self._goes_left, self._missing_goes_left = goes_left > 0, missing > 0
        group = numbered(group_of, groups)[self._feature]
        # A group that splits a way more than once passes if it passes each time; its first split stands for it.
        same = group[:, :, np.newaxis] == group[:, np.newaxis, :]  # (leaves, depth, depth)
        self._same = same
        self._is_first = ~np.tril(same, -1).any(axis=2)
        self._values = np.array([value for _, value in leaves], dtype=np.float64)
        self._by_group = np.argsort(group.ravel(), kind="stable")
        self._group_sorted = group.ravel()[self._by_group]
        self._groups = groups
        self._gain_in, self._gain_out = _gains(depth)
        self._reference = self._passes(reference)

    def contributions(self, matrix: Matrix) -> Contributions:
        """Give the contributions of each row of a matrix (n, features), as (n, groups)."""
        found = np.zeros((len(matrix), self._groups), dtype=np.float32)
        rows = max(1, CELLS // max(1, self._feature.size))
        for start in range(0, len(matrix), rows):
            found[start : start + rows] = self._contributions(matrix[start : start + rows])
        return found

    def _contributions(self, matrix: Matrix) -> NDArray[np.float64]:
        row, reference = self._passes(matrix), self._reference
        plays, stays_out = row & ~reference & self._is_first, ~row & reference & self._is_first
        reached = self._values * (row | reference).all(axis=2)
        many, few = plays.sum(axis=2), stays_out.sum(axis=2)
        gain_in, gain_out = self._gain_in[many, few] * reached, self._gain_out[many, few] * reached
        gained = plays * gain_in[:, :, np.newaxis] - stays_out * gain_out[:, :, np.newaxis]
        by_group = gained.reshape(len(matrix), -1)[:, self._by_group]
        found = np.zeros((len(matrix), self._groups + 1))
        present, begins = np.unique(self._group_sorted, return_index=True)
        found[:, present] = np.add.reduceat(by_group, begins, axis=1)
        return found[:, : self._groups]

    def _passes(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Tell which groups, each at the place of its splits, lead each row to each leaf, (n, leaves, depth)."""
        values = matrix[:, self._feature]
        left = np.where(np.isnan(values), self._missing_goes_left, values < self._threshold)
        right_way = left == self._goes_left
        passes: NDArray[np.bool_] = (right_way[:, :, np.newaxis, :] | ~self._same).all(axis=3)
        return passes


def _gains(depth: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what one that plays, and one that stays out, gains of a leaf, by how many do so, (depth + 1, depth + 1)."""
    gains = np.zeros((2, depth + 1, depth + 1))
    for plays in range(depth + 1):
        for out in range(depth + 1 - plays):
            if plays:
                gains[0, plays, out] = factorial(plays - 1) * factorial(out) / factorial(plays + out)
            if out:
                gains[1, plays, out] = factorial(plays) * factorial(out - 1) / factorial(plays + out)
    return gains[0], gains[1]


def _leaves(tree: dict[str, Any]) -> Iterator[tuple[list[_Split], float]]:
    """Give the splits on the way to each leaf of a tree, and the leaf's value."""
    ways: list[tuple[int, list[_Split]]] = [(0, [])]
    while ways:
        node, splits = ways.pop()
        value = np.float32(tree["split_conditions"][node])
        if tree["left_children"][node] < 0:
            yield splits, float(value)
            continue
        feature, missing = tree["split_indices"][node], bool(tree["default_left"][node])
        for child, goes_left in (("left_children", True), ("right_children", False)):
            ways.append((tree[child][node], [*splits, _Split(feature, value, goes_left, missing)]))
