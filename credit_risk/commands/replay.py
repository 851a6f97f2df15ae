"""`python -m credit_risk replay`: make the decisions on record again, and say what differs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from credit_risk.commands.options import PATH
from credit_risk.contract.errors import DataError
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.model.store import StoredModel, load_model
from credit_risk.record.reader import Entry, LogReader
from credit_risk.replay.differences import SHOWN, Differences
from credit_risk.replay.outcomes import load_outcomes
from credit_risk.replay.replayer import Replayer
from credit_risk.replay.tables import show_what_if
from credit_risk.replay.what_if import WhatIf
from credit_risk.serving.settings import load_settings

CHUNK = 1000  # decisions in memory at once


@click.command()
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option("--model", "tag", metavar="TAG", help="What if this model had decided?")
@click.option("--policy", "policy_file", type=PATH, metavar="FILE", help="What if this policy had decided?")
@click.option("--outcomes", type=PATH, metavar="FILE", help="CSV with the columns decision_id and default (0 or 1).")
@click.option("--plot", type=PATH, metavar="FILE", help="Draw the what-if as a .png or .svg.")
@click.option("--lenient", is_flag=True, help="Skip lines that are no records, as in a container's captured output.")
def replay(
    log: Sequence[str],
    tag: str | None,
    policy_file: Path | None,
    outcomes: Path | None,
    plot: Path | None,
    lenient: bool,
) -> None:
    """Make the decisions on record in LOGs again, and compare.

    A LOG is a file of decision records, a folder of such files, or - for standard input. Each decision is made with the
    model that its record names and with the service's policy; the exit status is 1 if anything differs. With --model or
    --policy it is a what-if: which decisions would change, and how many of those approved would default.
    """
    if plot and plot.suffix not in (".png", ".svg"):
        raise click.BadParameter("must end in .png or .svg", param_hint="--plot")
    if (outcomes or plot) and not (tag or policy_file):
        raise click.UsageError("--outcomes and --plot belong to a what-if: name a --model or a --policy")
    path = policy_file or load_settings().policy
    policy, model = load_policy(path), load_model(tag) if tag else None
    reader = LogReader(log, lenient=lenient)
    what_if, differences = WhatIf(load_outcomes(outcomes) if outcomes else {}), Differences()
    required = None if policy_file else path
    asyncio.run(_compare(reader, Replayer(policy, model), policy, model, required, differences, what_if))
    _report_left_out(reader)
    if not what_if.n:
        raise DataError("there is no decision on record in what was named")
    if what_if.changed:
        show_what_if(what_if, Console())
    if plot:
        from credit_risk.replay.plot import plot_what_if  # requires matplotlib, which the image has not

        plot_what_if(what_if, plot)
    _conclude(what_if, differences)


async def _compare(
    reader: LogReader,
    replayer: Replayer,
    policy: Policy,
    model: StoredModel | None,
    required: Path | None,
    differences: Differences,
    what_if: WhatIf,
) -> None:
    """Make all decisions again and compare them. `required` is the file of the policy that must have decided."""
    entries, screen = reader.entries(), Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Replaying", total=reader.size)
        while chunk := list(islice(entries, CHUNK)):
            if required:
                _require_policy(chunk, policy, required)
            for entry, new in zip(chunk, await replayer.replay(chunk), strict=True):
                is_other_model = model is not None and model.tag != entry.record.model
                changed = new.policy != entry.record.policy or is_other_model
                differences.compare(entry, new, same_versions=not changed)
                what_if.add(entry.record, new, changed=changed)
            progress.advance(task, sum(entry.size for entry in chunk))


def _require_policy(entries: Sequence[Entry], policy: Policy, path: Path) -> None:
    for entry in entries:
        if entry.record.policy != policy.version:
            raise DataError(
                f"{entry.place} was decided by policy {entry.record.policy}, and {path} is {policy.version}: "
                "name the file of the policy with --policy"
            )


def _report_left_out(reader: LogReader) -> None:
    for place in reader.torn:
        click.echo(f"{place} was left out: it is torn, as a crash leaves the last line", err=True)
    if reader.skipped:
        click.echo(f"{_counted(reader.skipped, 'line')} left out: no records of decisions", err=True)


def _conclude(what_if: WhatIf, differences: Differences) -> None:
    decisions = _counted(what_if.n, "decision")
    if differences.count:
        shown = f", {SHOWN} of them shown" if differences.count > SHOWN else ""
        summary = f"{decisions}, {_counted(differences.count, 'difference')}{shown}"
        click.echo("\n".join([*differences.shown, summary]))
        sys.exit(1)
    if not what_if.changed:
        click.echo(f"{decisions}, all identical")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
