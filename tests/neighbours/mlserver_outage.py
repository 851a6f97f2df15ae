"""Kill a real MLServer behind a real service under load, start it again, and count what became of the requests.

python -m tests.neighbours.mlserver_outage --fallback local
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from credit_risk.contract.record import DecisionRecord
from credit_risk.record.reader import LogReader
from tests.conftest import QUICK, train
from tests.e2e.callers import Account
from tests.e2e.conftest import Server, serving
from tests.e2e.mishaps import under_load
from tests.neighbours.mlserver import export, running

PATIENCE = 60.0  # seconds
WORKERS = 2


@dataclass
class Toll:
    """What an outage cost."""

    answers: Counter[str] = field(default_factory=Counter)  # decisions by what scored them
    statuses: set[str] = field(default_factory=set)  # of the one application that all callers ask about
    unavailable: int = 0  # answered 503 with Retry-After
    faults: list[str] = field(default_factory=list)
    ready_while_away: bool = False
    seconds_until_normal: float = 0.0  # from when the server was ready again, to both workers asking it
    log: str = ""


def outage(folder: Path, *, fallback: str, seconds: float) -> Toll:
    """Let MLServer, which serves what was exported to the folder, be away for so long."""
    toll = Toll()
    decisions = folder / "decisions"
    with running(folder) as first:
        environment: dict[str, Any] = {
            "CREDIT_RISK_SCORING": first.address,
            "CREDIT_RISK_SCORING_FALLBACK": fallback,
            "CREDIT_RISK_DECISION_LOG": str(decisions),
        }
        with serving("--production", **environment) as server:
            with under_load(server, until_refused=False) as account, ending(account):
                first.kill()
                time.sleep(seconds)
                toll.ready_while_away = is_ready(server)
                with running(folder, first.port):
                    back = time.monotonic()
                    _until(lambda: ended(server) >= WORKERS)
                    toll.seconds_until_normal = time.monotonic() - back
                    time.sleep(1)
                    account.is_over.set()  # before the server is away for good
            toll.log = server.log.read_text()
    toll.unavailable, toll.faults = account.shed, account.faults
    toll.statuses = {answer.status for answer in account.answers}
    toll.answers = Counter(str(record.scored_by) for record in records_in(decisions))
    assert sum(toll.answers.values()) >= len(account.answers)  # every answer is on record
    return toll


@contextmanager
def ending(account: Account) -> Iterator[None]:
    """Let the callers end, however this ends."""
    try:
        yield
    finally:
        account.is_over.set()


def ended(server: Server) -> int:
    """In how many workers the outage was noticed, and is over."""
    log = server.log.read_text()
    return log.count("is well again") if log.count(" fails, ") == log.count("is well again") else 0


def is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return False


def records_in(folder: Path) -> list[DecisionRecord]:
    return [entry.record for entry in LogReader([str(folder)], lenient=False).entries()]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@click.command(context_settings={"show_default": True})
@click.option("--fallback", type=click.Choice(["none", "local"]), default="none")
@click.option("--seconds", default=5.0, help="How long the server is away.")
@click.option("--times", default=1, help="How often.")
def main(fallback: str, seconds: float, times: int) -> None:
    """Let MLServer be away under load. The exit status is 1 if a request was lost, or answered wrongly."""
    assert train(*QUICK).returncode == 0
    lost = False
    for _ in range(times):
        with TemporaryDirectory() as folder:
            assert export(Path(folder)).returncode == 0
            toll = outage(Path(folder), fallback=fallback, seconds=seconds)
        click.echo(
            f"fallback {fallback}, away for {seconds:g} s: decisions by what scored them {dict(toll.answers)}, "
            f"{toll.unavailable:,} answered 503, {len(toll.faults)} lost {sorted(set(toll.faults))[:3]}; statuses "
            f"{sorted(toll.statuses)}; ready meanwhile: {toll.ready_while_away}; normal "
            f"{toll.seconds_until_normal:.1f} s after the server was"
        )
        lost |= bool(toll.faults) or len(toll.statuses) != 1
    sys.exit(lost)


if __name__ == "__main__":
    main()
