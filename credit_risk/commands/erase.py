"""`python -m credit_risk erase`: make the decisions of a person unreadable in an encrypted log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from credit_risk.commands.options import own_log
from credit_risk.commands.wording import counted
from credit_risk.contract.errors import DataError
from credit_risk.record.erasing import erase, key_files, keys_of_decision, keys_of_reference
from credit_risk.serving.settings import load_settings


@click.command("erase")
@click.argument("arguments", metavar="REFERENCE [LOG]...", nargs=-1)
@click.option("--decision", "decision_id", metavar="ID", help="Erase this decision, in place of a REFERENCE.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def erase_decisions(arguments: Sequence[str], decision_id: str | None, yes: bool) -> None:
    """Erase all that is personal in the decisions of REFERENCE, the lender's own id of an application.

    A LOG is a folder of the decision log, by default the service's, or a file of it. Decisions can be erased if
    CREDIT_RISK_DECISION_LOG_ENCRYPT was true when they were made: their keys are overwritten for ever, while the log
    stays as it was written. The exit status is 1 if there is nothing to erase.
    """
    if decision_id is None and not arguments:
        raise click.UsageError("name the REFERENCE of the decisions to erase, or one of them with --decision ID")
    logs = [Path(log) for log in (arguments if decision_id else arguments[1:])] or [Path(own_log(load_settings()))]
    for log in logs:
        if not log.exists():
            raise DataError(f"there is no decision log {log}: name its folder, or a file of it")
    files = key_files(logs)
    keys = keys_of_decision(files, decision_id) if decision_id else keys_of_reference(files, arguments[0])
    where = ", ".join(map(str, logs))
    if not keys:
        what = "this id" if decision_id else "this reference"
        raise DataError(
            f"no decision of {what} can be erased in {where}: there is none, it was erased before, or it was not "
            "encrypted when it was made, as CREDIT_RISK_DECISION_LOG_ENCRYPT was false"
        )
    count = counted(len({key.decision_id for key in keys}), "decision")
    if not yes:
        click.confirm(f"Make what is personal in {count} in {where} unreadable for ever?", abort=True)
    erase(keys)
    click.echo(f"Erased what is personal in {count}. Erase it in copies of the folder keys, too, such as backups")
