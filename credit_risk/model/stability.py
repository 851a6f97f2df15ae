"""The population stability index: how far a distribution of scores has moved from an earlier one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

MIN_FOR_VERDICT = 500  # with fewer scores the index is mostly chance


def stability_index(expected: Counter[int], actual: Counter[int]) -> float:
    """Compute the population stability index of scores, given as counts, in ten bins by the deciles of `expected`.

    An empty bin counts as half a score, because its logarithm would be infinite.
    """
    values = np.array(sorted(expected))
    share = np.cumsum([expected[value] for value in values.tolist()]) / expected.total()
    last = np.unique(values[np.searchsorted(share, np.arange(1, 10) / 10)])  # of each bin
    counts = np.zeros((2, len(last) + 1))
    for row, scores in zip(counts, (expected, actual), strict=True):
        np.add.at(row, np.searchsorted(last, list(scores)), list(scores.values()))
    shares = np.maximum(counts, 0.5) / counts.sum(axis=1, keepdims=True)
    return sum(((b - a) * math.log(b / a) for a, b in shares.T.tolist()), 0.0)


def stability_verdict(index: float, n: int) -> str:
    """Judge the index of n scores by the usual rule of thumb (Siddiqi, Credit Risk Scorecards, 2006)."""
    if n < MIN_FOR_VERDICT:
        return f"too few decisions for a verdict ({MIN_FOR_VERDICT})"
    return "no shift" if index < 0.1 else "a moderate shift" if index <= 0.25 else "a strong shift"
