"""Let one thing happen to a real server under load, many times, and count the requests that were lost.

    python -m tests.e2e.mishaps sigterm --times 100 --busy 2

Use it when the drain, the way of listening or the reload changes. Without `--busy` it is what the tests do once.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click
import psutil

from credit_risk.contract.policy import load_policy
from tests.conftest import PROJECT, QUICK, copy_project, train
from tests.e2e.callers import Account, callers
from tests.e2e.conftest import Server, serving, workers_of

SECONDS_TO_END = 60


class Toll(NamedTuple):
    """What it cost."""

    answered: int
    lost: list[str]
    notes: str = ""
    shed: int = 0  # answered 503 with Retry-After


def sigterm() -> Toll:
    """SIGTERM to the parent: it drains, and ends with status 0."""
    with serving() as server, under_load(server) as account:
        server.process.send_signal(signal.SIGTERM)
    return _toll(account, f"status {server.process.wait(SECONDS_TO_END)}")


def sigterm_to_all() -> Toll:
    """SIGTERM to all its processes, as systemd sends it: workers get it twice."""
    with serving() as server, under_load(server) as account:
        os.killpg(server.process.pid, signal.SIGTERM)
    return _toll(account, f"status {server.process.wait(SECONDS_TO_END)}")


def kill() -> Toll:
    """SIGKILL to the parent: the workers drain and end."""
    with serving() as server:
        with under_load(server) as account:
            workers = workers_in(server)
            server.process.kill()
        _, alive = psutil.wait_procs(workers, SECONDS_TO_END)
    return _toll(account, f"{len(alive)} orphans")


def sigterm_to_worker() -> Toll:
    """SIGTERM to a worker: another takes its place."""
    return _replaced(signal.SIGTERM)


def kill_worker() -> Toll:
    """SIGKILL to a worker: what it had in hand is lost, and another takes its place."""
    return _replaced(signal.SIGKILL)


def sighup() -> Toll:
    """SIGHUP with a changed policy: all workers decide by it from the same moment."""
    with TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        shutil.copy(PROJECT / "policy.yaml", policy)
        with serving(CREDIT_RISK_POLICY=str(policy)) as server:
            versions = [load_policy(policy).version]
            with under_load(server, until_refused=False) as account:
                for cutoff in (0.1, 0.2, 0.25, 0.35, 0.4):
                    change_cutoff(policy, cutoff)
                    versions.append(load_policy(policy).version)
                    hang_up(server)
                    time.sleep(0.2)
    used = {answer.policy for answer in account.answers}
    statuses = {(answer.policy, answer.status) for answer in account.answers}
    return _toll(
        account,
        f"{len(used)} of {len(versions)} policies used, {len(statuses) - len(used)} told by another than they were "
        f"made by, {account.older_than_known(versions)} by an older one than was known",
    )


def reload() -> Toll:
    """A change of a file under --reload: the service comes back with the change."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        with (
            serving("service.py:svc", "--reload", folder=folder) as server,
            under_load(server, until_refused=False) as account,
        ):
            before = workers_in(server)
            with (folder / "service.py").open("a") as file:
                file.write("\n")
            psutil.wait_procs(before, SECONDS_TO_END)
            _until(lambda: len(workers_in(server)) == 2)
            count = len(account.answers)
            _until(lambda: len(account.answers) > count)
    return _toll(account, f"{account.refused} connections refused meanwhile")


MISHAPS: dict[str, Callable[[], Toll]] = {
    mishap.__name__.replace("_", "-"): mishap
    for mishap in (sigterm, sigterm_to_all, kill, sigterm_to_worker, kill_worker, sighup, reload)
}


@contextmanager
def under_load(server: Server, *, until_refused: bool = True) -> Iterator[Account]:
    """Two workers, with callers that ask already."""
    assert workers_of(server, 2) == 2
    with callers(server.url, kept_alive=8, anew=4, until_refused=until_refused) as account:
        _until(lambda: len(account.answers) >= 100)
        yield account


def workers_in(server: Server) -> list[psutil.Process]:
    """Give the processes that decide; the one that watches files under --reload does not."""
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "_bentoml_impl.worker.service" in child.cmdline()]


def hang_up(server: Server) -> None:
    """Send SIGHUP, and wait for the line that tells what came of it."""
    before = server.log.read_text().count("eloaded")
    server.process.send_signal(signal.SIGHUP)
    _until(lambda: server.log.read_text().count("eloaded") > before)


def change_cutoff(policy: Path, cutoff: float) -> None:
    lines = [
        f"  review_above: {cutoff}" if line.strip().startswith("review_above:") else line
        for line in policy.read_text().splitlines()
    ]
    policy.write_text("\n".join(lines))


def _replaced(signal_number: signal.Signals) -> Toll:
    with serving() as server:
        with under_load(server, until_refused=False) as account:
            lost, *_ = before = workers_in(server)
            lost.send_signal(signal_number)
            psutil.wait_procs([lost], SECONDS_TO_END)
            count = len(account.answers)
            _until(lambda: len(account.answers) > count)
            assert workers_of(server, 3) == 3
        left = set(workers_in(server))
    return _toll(account, f"{len(left)} workers, {len(left - set(before))} of them new")


def _toll(account: Account, notes: str) -> Toll:
    return Toll(len(account.answers), account.faults, notes, account.shed)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_TO_END
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@click.command(context_settings={"show_default": True})
@click.argument("mishap", type=click.Choice(list(MISHAPS)))
@click.option("--times", default=10, help="How often to start a server and let it happen.")
@click.option("--busy", default=0, help="Processes that keep the processor busy meanwhile.")
def main(mishap: str, times: int, busy: int) -> None:
    """Let MISHAP happen, and list what was lost. The exit status is 1 if anything was."""
    assert train(*QUICK).returncode == 0
    loops = [multiprocessing.Process(target=spin, daemon=True) for _ in range(busy)]
    for loop in loops:
        loop.start()
    answered = lost = shed = 0
    for number in range(1, times + 1):
        toll = MISHAPS[mishap]()
        answered, lost, shed = answered + toll.answered, lost + len(toll.lost), shed + toll.shed
        told = f"{number} times {mishap}: {answered:,} answered, {lost} lost, {shed} refused as busy; {toll.notes}"
        click.echo(f"{told} {sorted(set(toll.lost))[:3] or ''}")
    sys.exit(bool(lost))


def spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(100_000))


if __name__ == "__main__":
    main()
