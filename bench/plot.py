"""Pictures of results."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

Series = dict[str, dict[float, float]]  # name -> x -> y


def draw(path: Path, panels: list[tuple[str, str, Series]], *, x: str, log_x: bool = True, log_y: bool = True) -> None:
    """Lines side by side: for each panel its title, what is up the side, and its series."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4.6), squeeze=False, layout="constrained")
    for axis, (title, y, series) in zip(axes[0], panels, strict=True):
        for name, points in series.items():
            axis.plot(list(points), list(points.values()), marker="o", markersize=4, label=name)
        axis.set(title=title, xlabel=x, ylabel=y)
        if log_x:
            axis.set_xscale("log", base=2)
            ticks = sorted({point for points in series.values() for point in points})
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        if log_y:
            axis.set_yscale("log")
        axis.grid(alpha=0.3)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
