"""The results as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt

from bench.experiment import Row

LEGEND = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2, "fontsize": 8, "frameon": False}


def plot_times(kinds: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw how the times of single calls are distributed, a panel for each kind of model API."""
    figure, axes = plt.subplots(1, len(kinds), figsize=(5.5 * len(kinds), 4.6), squeeze=False, layout="constrained")
    for axis, (kind, rows) in zip(axes[0], kinds.items(), strict=True):
        longest = max(np.percentile(row["calls_ms"], 98) for row in rows)
        for row in rows:
            axis.hist(row["calls_ms"], bins=np.linspace(0, longest, 80), alpha=0.6, label=row["name"])
        axis.set(title=f"Single calls, {kind} models", xlabel="milliseconds", ylabel="calls")
        axis.legend(**LEGEND)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_ramp(rows: Sequence[Row], kind: str, path: Path) -> None:
    """Draw what is answered, and p95, by the requests a second that are due. A cross marks the breaking point."""
    panels = {
        "Answered": ("requests_per_second", "a second"),
        "Latency that 95 % stay below": ("p95_ms", "milliseconds"),
    }
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for axis, (title, (value, unit)) in zip(axes, panels.items(), strict=True):
        for row in rows:
            steps = row["steps"]
            (line,) = axis.plot(
                [step["users"] for step in steps], [step[value] for step in steps], marker=".", label=row["name"]
            )
            if row["breaking_point"]:
                axis.plot(row["breaking_point"], steps[-1][value], "x", color=line.get_color(), markersize=10)
        axis.set(title=f"{title}, {kind} models", xlabel="requests due a second", ylabel=unit)
        axis.set(xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend(**LEGEND)
    figure.savefig(path, dpi=110)
    plt.close(figure)
