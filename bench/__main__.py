"""`make bench`: measure, print, and write bench/results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from bench import experiments, machine
from bench.container import containers
from bench.load import require_wrk
from bench.show import SHOW, console
from credit_risk.serving.settings import PROJECT

RESULTS = PROJECT / "bench" / "results"
NAMES = ("throughput", "accountable", "batching", "large-batches", "open-loop")
BY_NAME_ALONE = ("containers",)  # these take an image: `make image`


@click.command(context_settings={"show_default": True})
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(NAMES + BY_NAME_ALONE),
    help="Some of them; all but containers without it.",
)
@click.option("--rounds", default=3, type=click.IntRange(min=1), help="Of which the median counts.")
@click.option("--seconds", default=3.0, type=click.FloatRange(min=1), help="For each measurement.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
def main(only: tuple[str, ...], rounds: int, seconds: float, results: Path) -> None:
    """Measure this service and its peers on this machine, each started on the same port in turn.

    Close what else runs: ratios hold on a busy machine, absolute figures do not.
    """
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="credit-risk-bench-") as folder:
        # A model of the bundled data in a store of its own, so that everybody measures the same.
        os.environ["BENTOML_HOME"] = str(Path(folder) / "bentoml")
        subprocess.run([sys.executable, "train.py"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        results.mkdir(parents=True, exist_ok=True)
        for name in only or NAMES:
            run(name, Path(folder), rounds=rounds, seconds=seconds, results=results)


def run(name: str, folder: Path, *, rounds: int, seconds: float, results: Path) -> None:
    experiment = {
        "throughput": experiments.throughput,
        "accountable": experiments.accountable,
        "batching": experiments.batching,
        "large-batches": experiments.large_batches,
        "open-loop": experiments.open_loops,
        "containers": containers,
    }[name]
    console.rule(name)
    rows = experiment(folder, rounds=rounds, seconds=seconds, say=lambda text: console.print(text, style="dim"))
    if rows:
        how = {"experiment": name, "rounds": rounds, "seconds": seconds, "machine": machine.describe()}
        (results / f"{name}.json").write_text(json.dumps(how | {"rows": rows}, indent=1) + "\n")
        SHOW[name](rows, results)


if __name__ == "__main__":
    main()
