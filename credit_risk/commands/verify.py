"""`python -m credit_risk verify`: check the seal of the decision log, and name what is broken."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from credit_risk.commands.options import PATH, own_log
from credit_risk.commands.wording import counted
from credit_risk.contract.errors import DataError
from credit_risk.record.verifying import Verdict, keys_of, sealed_files, verify
from credit_risk.serving.settings import load_settings

SHOWN = 20  # faults


@click.command("verify")
@click.argument("logs", metavar="[LOG]...", type=PATH, nargs=-1)
@click.option(
    "--key",
    "keys",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A public key that may have signed, which you have kept elsewhere (PEM). By default, those beside the log.",
)
@click.option(
    "--heads",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Heads from a second place, which show whether the end was cut off.",
)
def verify_logs(logs: Sequence[Path], keys: Sequence[Path], heads: Sequence[Path]) -> None:
    """Check that nothing in LOGs was edited, deleted, inserted or reordered since it was written.

    A LOG is a folder of the decision log, by default the service's, or a file of it, which is then checked alone. The
    exit status is 1 if something is broken; what is broken first in each file is named with its line.
    """
    logs = logs or [Path(own_log(load_settings()))]
    folders = [log if log.is_dir() else log.parent for log in logs]
    trusted = keys_of(folders, keys)
    screen = Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        total = sum(file.stat().st_size for log in logs for file in sealed_files(log))
        task = progress.add_task("Verifying", total=total)
        verdicts = [verify(log, trusted, heads, lambda size: progress.advance(task, size)) for log in logs]
    if not len(trusted) and any(verdict.sealed for verdict in verdicts):
        raise DataError(f"there is no public key beside {folders[0]}; name the one that you have kept with --key")
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    _tell(verdicts)
    if faults:
        for fault in faults[:SHOWN]:
            click.echo(fault)
        more = f"; {SHOWN} are shown" if len(faults) > SHOWN else ""
        click.echo(f"The seal is broken in {counted(len(faults), 'place')}{more}")
        sys.exit(1)
    if any(verdict.sealed for verdict in verdicts):
        where = "" if keys else "; the public key is the one beside the log, so name a copy of your own with --key"
        click.echo(f"The seal holds{where}")


def _tell(verdicts: Sequence[Verdict]) -> None:
    """Say what was checked, and what can't be."""
    parts = [part for verdict in verdicts for part in verdict.parts]
    for part in parts:
        if part.is_torn:
            click.echo(f"{part.path}:{part.lines + 1} is torn, as a crash leaves the last line", err=True)
    unsealed = [part for verdict in verdicts for part in verdict.unsealed]
    if unsealed:
        not_sealed = counted(sum(part.lines for part in unsealed), "line")
        click.echo(f"{not_sealed} of {counted(len(unsealed), 'file')} are not sealed, such as {unsealed[0].path}")
    sealed = [part for verdict in verdicts for part in verdict.sealed]
    if sealed:
        lines, chains = sum(part.lines for part in sealed), {part.begin.chain for part in sealed if part.begin}
        unsigned = sum(verdict.unsigned for verdict in verdicts)
        told = (
            f"{counted(lines, 'line')} in {counted(len(sealed), 'file')} of {counted(len(chains), 'chain')} are sealed"
        )
        click.echo(f"{told}; {counted(unsigned, 'line')} at the end not signed yet" if unsigned else told)
