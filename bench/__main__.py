"""`make bench`: measure, print, and write bench/results."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.container import containers
from bench.experiment import Row
from bench.features import features
from bench.frameworks import frameworks
from bench.growth import growth
from bench.in_process import in_process
from bench.jobs import jobs
from bench.large_batches import large_batches
from bench.load import describe, require_wrk
from bench.model_server import model_server
from bench.overload import open_loops
from bench.plot import PLOTS
from bench.portfolios import portfolios
from bench.serving_batching import serving_batching
from bench.stages import stages
from bench.tables import RESULTS, TABLES, write_results
from bench.throughput import accountable, batching, sockets, throughput, versions
from credit_risk.serving.settings import PROJECT

EXPERIMENTS: dict[str, Callable[..., list[Row]]] = {
    "throughput": throughput,
    "frameworks": frameworks,
    "accountable": accountable,
    "in-process": in_process,
    "stages": stages,
    "growth": growth,
    "batching": batching,
    "sockets": sockets,
    "large-batches": large_batches,
    "open-loop": open_loops,
    "model-server": model_server,
    "features": features,
    "jobs": jobs,
    "serving-batching": serving_batching,
}
BY_NAME_ALONE = ("versions", "containers", "portfolios")  # they need another checkout, an image, and Ray
console = Console(width=160)


@click.command(context_settings={"show_default": True})
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*EXPERIMENTS, *BY_NAME_ALONE]),
    show_default=f"all but {', '.join(BY_NAME_ALONE)}",
    help="Which experiments to run; give it several times, or separate names by spaces in make's ARGS.",
)
@click.argument("more", nargs=-1, type=click.Choice([*EXPERIMENTS, *BY_NAME_ALONE]))
@click.option(
    "--before", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Checkout for `versions`."
)
@click.option("--slices", default=10, type=click.IntRange(min=2), help="How often each service is loaded in turn.")
@click.option("--seconds", default=2.0, type=click.FloatRange(min=1), help="Length of a slice.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
def main(
    only: tuple[str, ...], more: tuple[str, ...], before: Path | None, slices: int, seconds: float, results: Path
) -> None:
    """Measure this service and its peers on this machine.

    All services of an experiment are up at once and are loaded in turn, so that their ratios hold on a busy machine.
    Absolute figures need a quiet one. The results are printed and written as JSON, with the machine.
    """
    names = [*only, *more] or list(EXPERIMENTS)
    if names != ["portfolios"]:
        require_wrk()
    if "versions" in names and before is None:
        raise click.UsageError("versions compares with another checkout: name its folder with --before")
    with tempfile.TemporaryDirectory(prefix="credit-risk-bench-") as folder:
        # A model of the bundled data in a store of its own, so that everybody measures the same.
        os.environ["BENTOML_HOME"] = str(Path(folder) / "bentoml")
        subprocess.run([sys.executable, "train.py"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        results.mkdir(parents=True, exist_ok=True)
        named: dict[str, Callable[..., list[Row]]] = EXPERIMENTS | {"containers": containers, "portfolios": portfolios}
        if before is not None:
            named["versions"] = partial(versions, before=before)
        sent = describe(Path(folder))
        _say(f"Sending applications of {sent['applications']}, {sent['not_approved']:.1%} of them not approved")
        for name in names:
            console.rule(name)
            rows = named[name](Path(folder), slices=slices, seconds=seconds, say=_say)
            if rows:
                _report(name, rows, results, {"slices": slices, "seconds": seconds, "sent": sent})


def _say(text: str) -> None:
    console.print(text, style="dim", highlight=False)


def _report(name: str, rows: list[Row], results: Path, settings: dict[str, Any]) -> None:
    write_results(name, rows, results, settings)
    console.print(TABLES[name](rows))
    if name in PLOTS:
        PLOTS[name](rows, results / f"{name}.png")


if __name__ == "__main__":
    main()
