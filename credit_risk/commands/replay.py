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
from credit_risk.commands.wording import counted
from credit_risk.contract.errors import DataError
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import load_model
from credit_risk.record.archive import FOLDER, Archive
from credit_risk.record.keys import said_of_lost
from credit_risk.record.reader import LogReader
from credit_risk.replay.differences import SHOWN, Differences
from credit_risk.replay.outcomes import load_outcomes, recorded_outcomes
from credit_risk.replay.replayer import Replayer
from credit_risk.replay.sources import Sources
from credit_risk.replay.tables import show_what_if
from credit_risk.replay.what_if import WhatIf
from credit_risk.serving.settings import load_settings

CHUNK = 1000  # decisions in memory at once


@click.command()
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option(
    "--archive", "archives", type=PATH, multiple=True, metavar="FOLDER", help="An archive that is not beside the log."
)
@click.option("--model", "tag", metavar="TAG", help="What if this model had decided?")
@click.option("--policy", "policy_file", type=PATH, metavar="FILE", help="What if this policy had decided?")
@click.option(
    "--outcomes",
    type=PATH,
    metavar="FILE",
    help="CSV with the columns decision_id and default (0 or 1), in place of the outcomes on record.",
)
@click.option("--plot", type=PATH, metavar="FILE", help="Draw the what-if as a .png or .svg.")
@click.option("--lenient", is_flag=True, help="Skip lines that are no records, as in a container's captured output.")
def replay(
    log: Sequence[str],
    archives: Sequence[Path],
    tag: str | None,
    policy_file: Path | None,
    outcomes: Path | None,
    plot: Path | None,
    lenient: bool,
) -> None:
    """Make the decisions on record in LOGs again, and compare.

    A LOG is a file of decision records, a folder of such files, or - for standard input. Each decision is made with the
    model, the policy and the catalogue that its record names, from the archive beside the log, or else from the service
    of today if it still has them; the exit status is 1 if anything differs. With --model or --policy it is a what-if:
    which decisions would change, and how many of those approved would default, or have defaulted as far as outcomes are
    on record.
    """
    if plot and plot.suffix not in (".png", ".svg"):
        raise click.BadParameter("must end in .png or .svg", param_hint="--plot")
    if (outcomes or plot) and not (tag or policy_file):
        raise click.UsageError("--outcomes and --plot belong to a what-if: name a --model or a --policy")
    policy, model = load_policy(policy_file) if policy_file else None, load_model(tag) if tag else None
    reader, settings = LogReader(log, lenient=lenient), load_settings()
    folders = [*archives, *(folder / FOLDER for folder in reader.folders)]
    sources = Sources([Archive(folder) for folder in folders], reader.archived, settings.policy, settings.reasons)
    known = load_outcomes(outcomes) if outcomes else recorded_outcomes(reader.folders if tag or policy_file else ())
    what_if, differences = WhatIf(known), Differences()
    asyncio.run(_compare(reader, Replayer(sources, policy, model), differences, what_if))
    _report_left_out(reader)
    if not what_if.n:
        raise DataError("there is no decision on record in what was named")
    if what_if.changed:
        show_what_if(what_if, Console())
    if plot:
        from credit_risk.replay.plot import plot_what_if  # requires matplotlib, which the image has not

        plot_what_if(what_if, plot)
    _conclude(what_if, differences)


async def _compare(reader: LogReader, replayer: Replayer, differences: Differences, what_if: WhatIf) -> None:
    """Make all decisions again and compare them."""
    entries, screen = reader.entries(), Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Replaying", total=reader.size)
        while chunk := list(islice(entries, CHUNK)):
            for entry, again in zip(chunk, await replayer.replay(chunk), strict=True):
                differences.compare(entry, again)
                what_if.add(entry.record, again.record, changed=again.changed)
            progress.advance(task, sum(entry.size for entry in chunk))


def _report_left_out(reader: LogReader) -> None:
    for place in reader.torn:
        click.echo(f"{place} was left out: it is torn, as a crash leaves the last line", err=True)
    if reader.keys.erased:
        were = "was" if reader.keys.erased == 1 else "were"
        click.echo(f"{counted(reader.keys.erased, 'decision')} {were} erased and left out", err=True)
    for log, count in reader.keys.lost.items():
        click.echo(f"{said_of_lost(log, counted(count, 'decision'))}; left out until then", err=True)
    if reader.skipped:
        click.echo(f"{counted(reader.skipped, 'line')} left out: no records of decisions", err=True)


def _conclude(what_if: WhatIf, differences: Differences) -> None:
    decisions = counted(what_if.n, "decision")
    if differences.earlier:
        left_out = counted(differences.earlier, "decision")
        click.echo(f"Reasons and warnings of {left_out} of an earlier version were not compared")
    if differences.count:
        shown = f", {SHOWN} of them shown" if differences.count > SHOWN else ""
        summary = f"{decisions}, {counted(differences.count, 'difference')}{shown}"
        click.echo("\n".join([*differences.shown, summary]))
        sys.exit(1)
    if not what_if.changed:
        click.echo(f"{decisions}, all identical")
