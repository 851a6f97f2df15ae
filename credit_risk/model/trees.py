"""Margins of boosted trees of depth 2, looked up in a table: XGBoost's to the last bit, in a fraction of its time.

A tree of depth 2 has at most three splits, so a row makes one of eight patterns of outcomes, and eight leaf values
describe the whole tree. Scoring a batch is then a few whole-array steps: compare every split of every tree, combine the
three outcomes into a number from 0 to 7, look up the leaves, and add them in the order of the trees, in float32, as
XGBoost does. `Booster.inplace_predict` spends over 100 microseconds of each call on preparing it.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.errors import DependencyError

if TYPE_CHECKING:
    import xgboost as xgb

    from credit_risk.model.features import Matrix

SPLITS = 3  # of a tree: the root, its left and its right child
CHUNK = 512  # rows at once; more would not fit into the processor's cache
MISSING_LEFT = np.float32(-np.inf)  # `fmax` prefers it to a missing value, and any value to it
FOUR, TWO = np.uint8(4), np.uint8(2)
Split = tuple[int, float, bool]  # feature, threshold, whether a missing value goes left
NO_SPLIT: Split = (0, math.inf, True)  # every value goes left


class TreeTable:
    """The trees of a booster, laid out as arrays."""

    split_features: NDArray[np.intp]  # (trees, SPLITS)

    def __init__(
        self, features: NDArray[np.intp], thresholds: NDArray[np.float32], leaves: NDArray[np.float32], base: np.float32
    ) -> None:
        """Takes (SPLITS * trees) `features` and `thresholds`, (trees * 8) `leaves`, and the margin of no tree."""
        self._features = features
        self._thresholds = thresholds[:, np.newaxis]
        self.leaves = leaves
        # The first tree's with the margin of no tree, which XGBoost begins with.
        self._added = np.concatenate((leaves[:8] + base, leaves[8:]))
        self.count = len(leaves) // 8  # trees
        self._first_leaf = 8 * np.arange(self.count, dtype=np.intp)[:, np.newaxis]

    @classmethod
    def of(cls, booster: xgb.Booster) -> Self | None:
        """Read the table of a booster. Answers None if it would not be exact, as with deeper trees.

        The booster must be a loaded one, because saving rounds the base score. Raises DependencyError if this
        version of XGBoost describes trees in another way.
        """
        try:
            return cls._read(_learner_of(booster), booster)
        except (KeyError, IndexError, TypeError) as error:
            raise DependencyError(
                f"XGBoost {version('xgboost')} does not describe its trees as XGBoost 3.2 does ({error!r}); "
                "install the version in requirements.txt"
            ) from error

    @classmethod
    def _read(cls, learner: dict[str, Any], booster: xgb.Booster) -> Self | None:
        count = int(learner["learner_model_param"]["num_feature"])
        trees: list[_Tree] = []
        for described in _trees_of(learner):
            tree = _read_tree(described)
            if tree is None:
                return None
            trees.append(tree)
        splits = np.array([tree.splits for tree in trees], dtype=np.float64)  # (trees, SPLITS, 3)
        feature, threshold, missing_left = splits.transpose(2, 1, 0).reshape(3, -1)
        # Each feature is laid out twice: as it is, where a missing value fails every comparison and goes right, and
        # with minus infinity for a missing value, which goes left.
        features = np.where(missing_left > 0, feature + count, feature).astype(np.intp)
        leaves = np.array([tree.leaves for tree in trees], dtype=np.float32)
        table = cls(features, threshold.astype(np.float32), leaves.ravel(), _base_margin(learner))
        table.split_features = splits[:, :, 0].astype(np.intp)
        probe = _probe(feature.astype(np.intp), threshold.astype(np.float32), count)
        exact = np.array_equal(table.margins(probe), booster.inplace_predict(probe, predict_type="margin"))
        return table if exact else None

    def margins(self, matrix: Matrix) -> NDArray[np.float32]:
        """Give the log odds of each row of a matrix (n, features), as (n,)."""
        if len(matrix) > CHUNK:
            return np.concatenate(
                [self.margins(matrix[start : start + CHUNK]) for start in range(0, len(matrix), CHUNK)]
            )
        return self.margins_of(self.patterns(matrix))

    def margins_of(self, patterns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give the log odds of rows with these patterns (trees, n), as (n,)."""
        if patterns.shape[1] == 1:  # numpy reduces a single column pairwise, which is not the order of the trees
            return np.add.accumulate(self._added.take(patterns[:, 0]))[-1:]
        margins: NDArray[np.float32] = np.add.reduce(self._added.take(patterns), axis=0)
        return margins

    def patterns(self, matrix: Matrix) -> NDArray[np.intp]:
        """Tell which of the eight patterns of each tree a row makes, as places in `leaves`, (trees, n)."""
        columns = matrix.T
        both = np.concatenate((columns, np.fmax(columns, MISSING_LEFT)))
        left = (both.take(self._features, axis=0) < self._thresholds).view(np.uint8).reshape(SPLITS, self.count, -1)
        patterns: NDArray[np.intp] = (left[0] * FOUR + left[1] * TWO + left[2]) + self._first_leaf
        return patterns


def trees_of(booster: xgb.Booster) -> list[dict[str, Any]]:
    """Describe the trees of a booster as XGBoost's JSON does."""
    return _trees_of(_learner_of(booster))


def thresholds_of(booster: xgb.Booster, feature: int) -> NDArray[np.float32]:
    """List the values that a booster splits a feature at, rising."""
    found = {
        threshold
        for tree in trees_of(booster)
        for threshold, split, child in zip(
            tree["split_conditions"], tree["split_indices"], tree["left_children"], strict=True
        )
        if split == feature and child >= 0
    }
    return np.array(sorted(found), dtype=np.float32)


def _learner_of(booster: xgb.Booster) -> dict[str, Any]:
    learner: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
    return learner


def _trees_of(learner: dict[str, Any]) -> list[dict[str, Any]]:
    trees: list[dict[str, Any]] = learner["gradient_booster"]["model"]["trees"]
    return trees


class _Tree(NamedTuple):
    """A tree of depth 2, padded to three splits and eight patterns."""

    splits: list[Split]  # of the root, its left and its right child
    leaves: list[np.float32]  # by pattern


def _read_tree(tree: dict[str, Any]) -> _Tree | None:
    """Read a tree from XGBoost's JSON. Answers None if it is deeper than 2 or splits on categories."""
    if tree["categories"]:
        return None
    left, right = tree["left_children"], tree["right_children"]
    value = [np.float32(condition) for condition in tree["split_conditions"]]  # for a leaf, its weight

    def is_leaf(node: int) -> bool:
        return bool(left[node] < 0)

    def split(node: int) -> Split:
        if is_leaf(node):
            return NO_SPLIT
        return tree["split_indices"][node], float(value[node]), bool(tree["default_left"][node])

    def children(node: int) -> tuple[int, int]:
        return (node, node) if is_leaf(node) else (left[node], right[node])

    below = children(0)
    leaves_below = [children(child) for child in below]
    if not all(is_leaf(leaf) for pair in leaves_below for leaf in pair):
        return None
    leaf_of = [
        leaves_below[0 if root_left else 1][0 if (left_left if root_left else right_left) else 1]
        for root_left in (False, True)
        for left_left in (False, True)
        for right_left in (False, True)
    ]
    nodes = (0, *below)
    return _Tree([split(node) for node in nodes], [value[leaf] for leaf in leaf_of])


def _base_margin(learner: dict[str, Any]) -> np.float32:
    """Compute the margin of no tree in the steps and the precision that XGBoost uses when it loads a model."""
    probability = np.float32(json.loads(learner["learner_model_param"]["base_score"])[0])
    return np.float32(-math.log(np.float32(1) / probability - np.float32(1)))


def _probe(feature: NDArray[np.intp], threshold: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Make rows to compare with the booster: each feature at its thresholds, the hard cases, or missing."""
    rng = np.random.default_rng(0)
    probe = np.full((1024, count), np.nan, dtype=np.float32)
    for column in range(count):
        known = np.append(threshold[(feature == column) & np.isfinite(threshold)], np.nan).astype(np.float32)
        probe[:, column] = rng.choice(known, len(probe))
    return probe
