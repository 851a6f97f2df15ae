"""Shut a real server down under load many times, and count lost requests.

    python -m tests.e2e.shutdowns --times 100 --busy 2

Use it when the drain or the way of listening changes. `--folder` shuts down another checkout.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import click

from tests.conftest import PROJECT, train
from tests.e2e.callers import callers
from tests.e2e.conftest import serving, workers_of


@click.command(context_settings={"show_default": True})
@click.option("--times", default=10, help="How often to start a server and shut it down.")
@click.option("--busy", default=0, help="Processes that keep the processor busy meanwhile.")
@click.option("--kept-alive", default=8, help="Callers that keep their connection.")
@click.option("--anew", default=4, help="Callers that connect anew for each request.")
@click.option("--folder", default=PROJECT, type=click.Path(path_type=Path), help="The checkout to serve.")
def main(times: int, busy: int, kept_alive: int, anew: int, folder: Path) -> None:
    """Shut a server down under load, and list what was not answered. The exit status is 1 if anything was not."""
    assert train().returncode == 0
    loops = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(busy)]
    for loop in loops:
        loop.start()
    answered = 0
    faults: list[str] = []
    for number in range(1, times + 1):
        with (
            serving(folder=folder) as server,
            callers(server.url, kept_alive=kept_alive, anew=anew) as outcomes,
        ):
            assert workers_of(server, 2) == 2
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            results = outcomes()
            assert server.process.wait(60) == 0
        answered += sum(outcome.answered for outcome in results)
        faults += [fault for outcome in results for fault in outcome.faults]
        click.echo(f"{number} shutdowns: {answered:,} answered, {len(faults)} lost {faults[-1:] or ''}")
    sys.exit(bool(faults))


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(100_000))


if __name__ == "__main__":
    main()
