"""`make profile`: where a worker's time goes under load, as a flame graph and as a table of functions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.cells import new_table
from bench.experiment import Row
from bench.load import bodies, load, require_wrk
from bench.peer import OURS, Running, running
from bench.tables import RESULTS, as_markdown, load_results, write_results
from credit_risk.serving.settings import PROJECT

PY_SPY = str(Path(sys.executable).with_name("py-spy"))
RATE = 500  # samples a second
LINE = re.compile(r":\d+\)$")
TITLE = re.compile(r"(<text id=\"title\"[^>]*>)[^<]*")  # where py-spy puts its own command
LOOP = "run (asyncio/runners.py)"
EVENT_LOOP = "Runner." + LOOP  # as py-spy shows what runs in C
console = Console(width=140)


@click.command(context_settings={"show_default": True})
@click.option("--connections", default=64, type=click.IntRange(min=1), help="Connections that load the service.")
@click.option("--seconds", default=10, type=click.IntRange(min=2), help="How long to look.")
@click.option("--most", default=25, type=click.IntRange(min=1), help="Functions in the table.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
def main(connections: int, seconds: int, most: int, results: Path) -> None:
    """Run this service under load, and look at one of its workers with py-spy.

    Writes profile.svg, a flame graph of Python's part for a browser, and profile.json and profile.md, the functions by
    their own time, with system calls. Looking takes some of the processor, so the rate that is told is lower than that
    of `make bench`. On some systems py-spy needs root.
    """
    require_wrk()
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="credit-risk-profile-") as folder:
        os.environ["BENTOML_HOME"] = str(Path(folder) / "bentoml")
        subprocess.run([sys.executable, "train.py"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        raw, graph = Path(folder) / "profile.raw", results / "profile.svg"
        with running(OURS) as service:
            console.print(f"Looking at a worker for {seconds} s twice, with {connections} connections", style="dim")
            rate = _look(service, Path(folder), connections, seconds, raw, "--format", "raw")
            # Only who holds the interpreter's lock: threads that wait would fill most of the picture.
            _look(service, Path(folder), connections, seconds, graph, "--format", "flamegraph", "--gil")
        graph.write_text(TITLE.sub(rf"\g<1>A worker, loaded by {connections} connections", graph.read_text()))
        rows = self_times(raw.read_text().splitlines())
    write_results(
        "profile", rows, results, {"connections": connections, "seconds": seconds, "requests_per_second": rate}
    )
    table = tabulated(rows[:most])
    (results / "profile.md").write_text(as_markdown(table) + "\n")
    console.print(table, f"Written to {results}: profile.svg, profile.json, profile.md")


def in_short(most: int) -> str:
    """Give the start of the last profile's table as Markdown."""
    return as_markdown(tabulated(load_results("profile")["rows"][:most]))


def self_times(stacks: Sequence[str]) -> list[Row]:
    """List functions by their share of the samples, from stacks as py-spy writes them.

    `below` has what they call, too.
    """
    own, below = Counter[str](), Counter[str]()
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        functions = [LINE.sub(")", frame) for frame in frames.split(";")]
        if any(LOOP in function for function in functions):  # else it is another thread
            own[functions[-1]] += int(count)
            below.update(dict.fromkeys(functions, int(count)))
    samples = own.total()
    return [
        {"function": name, "self": count / samples, "below": below[name] / samples} for name, count in own.most_common()
    ]


def tabulated(rows: Sequence[Row]) -> Table:
    """Tabulate functions."""
    table = new_table("function", "self", "with what it calls")
    for row in rows:
        name = (
            "the event loop: reading, and waiting for what to do" if row["function"] == EVENT_LOOP else row["function"]
        )
        table.add_row(name, f"{row['self']:.1%}", f"{row['below']:.1%}")
    return table


def _look(service: Running, folder: Path, connections: int, seconds: int, written: Path, *options: str) -> float:
    """Load the service, and have py-spy look at its busiest worker. Gives the requests a second meanwhile."""
    found: list[float] = []

    def under_load() -> None:
        measured = load(service.path, bodies(folder), connections=connections, seconds=seconds + 4, url=service.url)
        found.append(measured.requests_per_second)

    before = service.processor_seconds()
    loading = threading.Thread(target=under_load)
    loading.start()
    loading.join(2)  # until it is under way
    spent = service.processor_seconds()
    busiest = max(spent, key=lambda process: spent[process] - before.get(process, 0))
    command = [PY_SPY, "record", "--rate", str(RATE), "--duration", str(seconds), *options]
    command += ["--pid", str(busiest), "--output", str(written)]
    looked = subprocess.run(command, capture_output=True, text=True, check=False)
    loading.join()
    if looked.returncode:
        raise click.ClickException(f"py-spy can't look at the service: {looked.stderr.strip().splitlines()[-1]}")
    return found[0]


if __name__ == "__main__":
    main()
