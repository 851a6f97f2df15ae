"""Results as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

Row = dict[str, Any]
Series = dict[str, dict[float, float]]  # name -> x -> y
THROUGHPUT, LATENCY = ("Throughput", "requests a second"), ("Latency that 99 % stay below", "milliseconds")


def plot_throughput(rows: Sequence[Row], path: Path) -> None:
    """Draw requests a second and p99 of each service by the number of connections."""
    panels = [(*THROUGHPUT, _series(rows, "requests_per_second")), (*LATENCY, _series(rows, "p99_ms"))]
    draw(path, panels, x="connections")


def plot_open_loop(rows: Sequence[Row], path: Path) -> None:
    """Draw decisions a second and latency by the load."""
    figures: Series = {name: {} for name in ("goodput", "p50_ms", "p99_ms")}
    for name, points in figures.items():
        for share in sorted({row["of saturation"] for row in rows}):
            values = sorted(row[name] for row in rows if row["of saturation"] == share)
            points[share] = values[len(values) // 2]
    panels = [
        ("Decisions", "a second", {"decided": figures.pop("goodput")}),
        ("Latency from the moment a request is due", "milliseconds", figures),
    ]
    draw(path, panels, x="load, of saturation")


def plot_serving_batching(rows: Sequence[Row], path: Path) -> None:
    """Draw requests a second and p99 by the size of batches, a line for each place and waiting time."""
    panels = []
    for (title, y), figure in ((THROUGHPUT, "requests_per_second"), (LATENCY, "p99_ms")):
        series: Series = {}
        for row in sorted(rows, key=lambda row: row["size"]):
            waits = f", waits {row['wait_ms']} ms" if row["wait_ms"] else ""
            series.setdefault(f"{row['batches']}{waits}", {})[row["size"]] = row[figure]["median"]
        panels.append((title, y, series))
    draw(path, panels, x="largest batch (1 is off)")


PLOTS = {
    "throughput": plot_throughput,
    "open-loop": plot_open_loop,
    "serving-batching": plot_serving_batching,
}


def _series(rows: Sequence[Row], figure: str) -> Series:
    series: Series = {}
    for row in rows:
        series.setdefault(row["name"], {})[row["connections"]] = row[figure]["median"]
    return series


def draw(path: Path, panels: list[tuple[str, str, Series]], *, x: str) -> None:
    """Draw panels side by side, each with its title, its label up the side, and its lines."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4.6), squeeze=False, layout="constrained")
    for axis, (title, y, series) in zip(axes[0], panels, strict=True):
        for name, points in series.items():
            axis.plot(list(points), list(points.values()), marker="o", markersize=4, label=name)
        axis.set(title=title, xlabel=x, ylabel=y)
        axis.set_xscale("log", base=2)
        ticks = sorted({point for points in series.values() for point in points})
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_yscale("log")
        axis.grid(alpha=0.3)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
