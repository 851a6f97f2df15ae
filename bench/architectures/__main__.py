"""`make bench-architectures`: the experiments of the scoring handler, sync, async, and this service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench import machine
from bench.architectures.agreement import check
from bench.architectures.feature_store import Customer, customers, require_redis
from bench.architectures.pieces import KINDS, Architecture, Kind, Ports, architectures
from bench.architectures.plots import plot_ramp, plot_times
from bench.architectures.profiles import profile_calls
from bench.architectures.swarm import Pace, swarm
from bench.architectures.tables import RESULTS, held_table, times_table
from bench.architectures.timing import time_calls
from bench.experiment import Row
from credit_risk.serving.settings import PROJECT

EXPERIMENTS = ("profiles", "timeit", "locust")
console = Console(width=200)


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(EXPERIMENTS), show_default="all", help="Which experiments.")
@click.option("--kind", multiple=True, type=click.Choice([*KINDS]), show_default="both", help="Which model APIs.")
@click.option("--serve", is_flag=True, help="Start everything of one kind, print where it is, and wait.")
@click.option("--port-offset", default=0, help="Added to all ports: 8000, 8001, 5000, 5001 and others.")
@click.option("--threads", default=64, type=click.IntRange(2, 1000), help="Threads of each worker of gunicorn.")
@click.option("--calls", default=300, type=click.IntRange(2), help="Timed calls to each, for timeit.")
@click.option("--low", default=Pace.low, help="Seconds of low traffic.")
@click.option("--step", default=Pace.step, help="Seconds of each step of the ramp.")
@click.option("--hold", default=Pace.hold, help="Seconds for which the most that holds is held.")
@click.option("--stress", default=Pace.stress, help="Seconds of the stress test.")
@click.option("--first", default=Pace.first, help="Requests a second at which the ramp begins.")
@click.option("--most", default=Pace.most, help="Requests a second at which the ramp ends at the latest.")
@click.option("--bound", default=Pace.bound, help="Milliseconds beyond which a p95 breaks a step.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
def main(
    only: tuple[str, ...],
    kind: tuple[str, ...],
    serve: bool,
    port_offset: int,
    threads: int,
    calls: int,
    results: Path,
    **pace: Any,
) -> None:
    """Compare a synchronous and an asynchronous scoring handler with this service.

    Each fetches a customer's fields from Redis, asks model APIs, and answers with a decision. Everything runs on this
    machine, on ports of its own; the results are printed and written.
    """
    require_redis()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever was started is ended
    results.mkdir(parents=True, exist_ok=True)
    ports = Ports(port_offset)
    kinds = [KINDS[name] for name in kind or KINDS]
    with tempfile.TemporaryDirectory(prefix="credit-risk-architectures-") as folder:
        os.environ["BENTOML_HOME"] = str(Path(folder) / "bentoml")
        _train()
        known = customers()
        file = Path(folder) / "customers.json"
        file.write_text(json.dumps([asdict(customer) for customer in known]))
        if serve:
            _serve(kinds[0], ports, threads, known)
            return
        wanted = only or EXPERIMENTS
        if "profiles" in wanted:
            console.rule("profiles")
            profile_calls(known, ports, results / "profiles", threads=threads, say=_say)
        timed: dict[str, list[Row]] = {}
        for one in kinds if {"timeit", "locust"} & set(wanted) else ():
            console.rule(f"{one.name} models")
            with architectures(one, ports, known, threads=threads) as running:
                check(running.values(), known)
                _say(f"{', '.join(running)}: up, and all give the same answers")
                if "timeit" in wanted:
                    timed[one.name] = time_calls([*running.values()], known, calls=calls, say=_say)
                    console.print(times_table(timed[one.name]))
                if "locust" in wanted:
                    _swarm(one, running, file, results, Pace(**pace), threads)
        if timed:
            _write(results / "timeit.json", {"calls": calls, "threads": threads}, kinds=timed)
            plot_times(timed, results / "timeit.png")


def _train() -> None:
    """Train the model in a store of its own. Its booster is that of any number of folds."""
    quickly = ("--folds", "2", "--repeats", "1", "--force", "The benchmark needs no validation")
    subprocess.run([sys.executable, "train.py", *quickly], cwd=PROJECT, check=True, capture_output=True)


def _swarm(
    kind: Kind, running: dict[str, Architecture], customers: Path, results: Path, pace: Pace, threads: int
) -> None:
    pages = results / "locust" / kind.name
    pages.mkdir(parents=True, exist_ok=True)
    rows = [swarm(architecture, customers, pages, pace, _say) for architecture in running.values()]
    _write(results / f"{kind.name}.json", {"kind": kind.sentence, "threads": threads, **asdict(pace)}, rows=rows)
    plot_ramp(rows, kind.name, results / f"{kind.name}.png")
    console.print(held_table(rows))


def _serve(kind: Kind, ports: Ports, threads: int, known: Sequence[Customer]) -> None:
    with architectures(kind, ports, known, threads=threads) as running:
        check(running.values(), known)
        for architecture in running.values():
            click.echo(f"{architecture.name}: {architecture.url}{architecture.path}")
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it
        click.echo(f"Ask for {json.dumps(known[0].sent)}; end with Ctrl-C.")
        try:
            while True:
                time.sleep(60)
        except KeyboardInterrupt:
            pass


def _say(text: str) -> None:
    console.print(text, style="dim", highlight=False)


def _write(path: Path, settings: dict[str, Any], **content: Any) -> None:
    path.write_text(json.dumps({**settings, "machine": machine.describe(), **content}, indent=1) + "\n")


if __name__ == "__main__":
    main()
