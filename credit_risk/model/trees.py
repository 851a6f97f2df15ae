"""Margins of boosted trees of depth 2, by looking them up: XGBoost's to the last bit, in a fraction of its time.

A tree of depth 2 has at most three splits, so it has at most eight patterns of outcomes, and a table of eight leaf
values says all there is to it. Scoring a batch is then a few whole-array steps: compare every split of every tree, put
three outcomes together as a number from 0 to 7, look up the leaves, and add them in the order of the trees, in float32,
which is what XGBoost does. `Booster.inplace_predict` spends over 100 microseconds of a call on preparing it.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost as xgb

    from credit_risk.model.features import Matrix

SPLITS = 3  # of a tree: the root, its left and its right child
CHUNK = 512  # rows at once: more would leave the processor's cache
NO_SPLIT = (0, np.inf, True)  # feature, threshold, missing goes left: whatever its value, it goes left


class TreeTable:
    """The trees of a booster, laid out as arrays."""

    split_features: NDArray[np.intp]  # (trees, SPLITS)
    shares: NDArray[np.float64]  # (trees, SPLITS): of the training rows, those that went left

    def __init__(
        self, features: NDArray[np.intp], thresholds: NDArray[np.float32], leaves: NDArray[np.float32], base: np.float32
    ) -> None:
        """`features`, `thresholds`: (SPLITS * trees); `leaves`: (trees * 8), by pattern; `base`: margin of no tree."""
        self._features = features
        self._thresholds = thresholds[:, np.newaxis]
        self.leaves = leaves
        self._base = base
        self.count = len(leaves) // 8  # trees
        self._first_leaf = 8 * np.arange(self.count, dtype=np.intp)[:, np.newaxis]

    @classmethod
    def of(cls, booster: xgb.Booster) -> Self | None:
        """The table of a booster, or None where it would not be exact, as for deeper trees and splits on categories.

        The booster is to be a loaded one: the base score of one just trained is rounded when it is saved.
        """
        learner = json.loads(booster.save_raw("json"))["learner"]
        count = int(learner["learner_model_param"]["num_feature"])
        tables = [_tree(tree) for tree in learner["gradient_booster"]["model"]["trees"]]
        if None in tables:
            return None
        splits = np.array([splits for splits, _, _ in tables], dtype=np.float64)  # (trees, SPLITS, 3)
        feature, threshold, missing_left = splits.transpose(2, 1, 0).reshape(3, -1)
        # Each feature is laid out twice: as it is, where a missing value fails every comparison and goes right, and
        # with minus infinity for missing, which goes left.
        features = np.where(missing_left > 0, feature + count, feature).astype(np.intp)
        leaves = np.array([leaves for _, leaves, _ in tables], dtype=np.float32)
        table = cls(features, threshold.astype(np.float32), leaves.ravel(), _base_margin(learner))
        table.split_features = splits[:, :, 0].astype(np.intp)
        table.shares = np.array([shares for _, _, shares in tables])
        probe = _probe(feature.astype(np.intp), threshold.astype(np.float32), count)
        exact = np.array_equal(table.margins(probe), booster.inplace_predict(probe, predict_type="margin"))
        return table if exact else None

    def margins(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log odds of each row of a matrix (n, features), (n,)."""
        if len(matrix) > CHUNK:
            return np.concatenate(
                [self.margins(matrix[start : start + CHUNK]) for start in range(0, len(matrix), CHUNK)]
            )
        return self.margins_of(self.patterns(matrix))

    def margins_of(self, patterns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Log odds of rows with these patterns (trees, n), (n,)."""
        rows = patterns.shape[1]
        if rows == 1:  # a sum over one column is pairwise in numpy, and no longer in the order of the trees
            patterns = np.concatenate((patterns, patterns), axis=1)
        leaves = np.take(self.leaves, patterns)
        leaves[0] += self._base
        margins: NDArray[np.float32] = np.add.reduce(leaves, axis=0)
        return margins[:rows]

    def patterns(self, matrix: Matrix) -> NDArray[np.intp]:
        """Which of the eight patterns of each tree a row makes, (trees, n), counted on from tree to tree."""
        columns = np.ascontiguousarray(matrix.T)
        both = np.concatenate((columns, np.where(np.isnan(columns), -np.inf, columns)))
        left = (both[self._features] < self._thresholds).reshape(SPLITS, self.count, -1).view(np.uint8)
        patterns: NDArray[np.intp] = self._first_leaf + ((left[0] << 2) | (left[1] << 1) | left[2])
        return patterns


def _tree(tree: dict[str, Any]) -> Any:
    """Splits of a tree, (feature, threshold, missing goes left) each, its leaf for each pattern, and shares.

    The shares are of the training rows that went left at each split. None where the tree is deeper.
    """
    if tree["categories"]:
        return None
    left, right, cover = tree["left_children"], tree["right_children"], tree["sum_hessian"]
    value = [np.float32(condition) for condition in tree["split_conditions"]]  # of a leaf: its weight

    def split(node: int) -> tuple[float, float, bool]:
        if left[node] < 0:
            return NO_SPLIT
        return tree["split_indices"][node], float(value[node]), bool(tree["default_left"][node])

    def share(node: int) -> float:
        """Of the training rows that came to a node, those that went left; by hessian, as XGBoost weighs them."""
        return 1.0 if left[node] < 0 else float(cover[left[node]]) / float(cover[node])

    def children(node: int) -> tuple[int, int]:
        return (node, node) if left[node] < 0 else (left[node], right[node])

    below = children(0)
    leaves_below = [children(child) for child in below]
    if any(left[leaf] >= 0 for pair in leaves_below for leaf in pair):
        return None
    leaf_of = [
        leaves_below[0 if root_left else 1][0 if (left_left if root_left else right_left) else 1]
        for root_left in (False, True)
        for left_left in (False, True)
        for right_left in (False, True)
    ]
    nodes = (0, *below)
    return [split(node) for node in nodes], [value[leaf] for leaf in leaf_of], [share(node) for node in nodes]


def _base_margin(learner: dict[str, Any]) -> np.float32:
    """The margin of no tree, in the steps and the precision in which XGBoost works it out when it loads a model."""
    probability = np.float32(json.loads(learner["learner_model_param"]["base_score"])[0])
    return np.float32(-math.log(np.float32(1) / probability - np.float32(1)))


def _probe(feature: NDArray[np.intp], threshold: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Rows to compare with the booster: each feature at its thresholds, which are the hard cases, or missing."""
    rng = np.random.default_rng(0)
    probe = np.full((1024, count), np.nan, dtype=np.float32)
    for column in range(count):
        known = np.append(threshold[(feature == column) & np.isfinite(threshold)], np.nan).astype(np.float32)
        probe[:, column] = rng.choice(known, len(probe))
    return probe
