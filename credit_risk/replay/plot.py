"""A what-if as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import DataError
from credit_risk.replay.what_if import PD_BINS, WhatIf

BAND = 10  # points of the score


def plot_what_if(what_if: WhatIf, path: Path) -> None:
    """Draw scores, probabilities and the swap set. Raises DataError if the file can't be written."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    points, probabilities, swaps = figure.subplots(1, 3)
    first, last = min(map(min, what_if.scores)), max(map(max, what_if.scores))
    points_edges, pd_edges = np.arange(first, last + BAND + 1, BAND), np.linspace(0, 1, PD_BINS + 1)
    labels, fills = ("on record", "new"), (True, False)
    for label, scores, bins, fill in zip(labels, what_if.scores, what_if.bins, fills, strict=True):
        alpha = 0.5 if fill else 1
        heights, _ = np.histogram(list(scores), points_edges, weights=list(scores.values()))
        points.stairs(heights, points_edges, fill=fill, alpha=alpha, label=label)
        heights = np.array([bins[number] for number in range(PD_BINS)])
        probabilities.stairs(heights, pd_edges, fill=fill, alpha=alpha, label=label)
    points.set(xlabel=f"score (points, in bands of {BAND})", ylabel="decisions")
    probabilities.set(xlabel="probability of default", ylabel="decisions")
    points.legend()
    probabilities.legend()
    counts = np.array([[what_if.swaps[old, new].n for new in STATUSES] for old in STATUSES])
    swaps.imshow(counts / what_if.n, cmap="Blues", vmin=0, vmax=2)  # light enough to write on
    for (row, column), count in np.ndenumerate(counts):
        swaps.text(column, row, f"{count:,}", ha="center", va="center")
    swaps.set_xticks(range(3), STATUSES)
    swaps.set_yticks(range(3), STATUSES)
    swaps.set(xlabel="new status (decisions)", ylabel="status on record (decisions)")
    try:
        figure.savefig(path)
    except OSError as error:
        raise DataError(f"{path} can't be written: {error.strerror}") from None
