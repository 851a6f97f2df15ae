"""`python -m credit_risk decision`: one decision on record, with everything that is known of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from credit_risk.commands.notice import AGENCY, CREDITOR, TEMPLATE, notice_of
from credit_risk.commands.options import PATH, DecisionId, own_log
from credit_risk.commands.sheet import said_of, show
from credit_risk.contract.errors import DataError
from credit_risk.record.archive import FOLDER, Archive
from credit_risk.record.events import events_of
from credit_risk.record.finding import (
    Line,
    entry_of,
    find_decision,
    left_of,
    likely_files,
    log_files,
    opened,
    told_beside,
)
from credit_risk.record.keys import Keys, said_of_lost
from credit_risk.record.reader import Entry
from credit_risk.record.verifying import keys_of, said_of_seal
from credit_risk.replay.counteroffer import counteroffer
from credit_risk.replay.dossier import Dossier, SealedEvent
from credit_risk.replay.sources import Sources
from credit_risk.serving.settings import load_settings


@click.command()
@click.argument("decision_id", metavar="ID", type=DecisionId())
@click.argument("log", metavar="[LOG]...", nargs=-1)
@click.option(
    "--archive", "archives", type=PATH, multiple=True, metavar="FOLDER", help="An archive that is not beside the log."
)
@click.option("--key", "keys", type=PATH, multiple=True, metavar="FILE", help="A public key, as for `verify`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--counteroffer", "offers", is_flag=True, help="Find the largest amount that would have been approved.")
@click.option("--notice", "notifies", is_flag=True, help="Print a notice of adverse action for the applicant.")
@click.option(
    "--template", type=PATH, metavar="FILE", help="A Jinja template of the notice, in place of the bundled one."
)
@click.option("--creditor", metavar="TEXT", help="Name and address of the creditor, for the notice.")
@click.option("--agency", metavar="TEXT", help="Name and address of the agency that supervises the creditor.")
def decision(
    decision_id: str,
    log: Sequence[str],
    archives: Sequence[Path],
    keys: Sequence[Path],
    as_json: bool,
    offers: bool,
    notifies: bool,
    template: Path | None,
    creditor: str | None,
    agency: str | None,
) -> None:
    """Print the decision ID as it is on record, with the texts and the policy of its time, its reviews and outcomes.

    A LOG is a file of decision records or a folder of such files; by default it is the service's own. Only the files
    that can hold the decision are read, and if it is in none of them, all others. The exit status is 1 if it is not on
    record.
    """
    if notifies and (as_json or offers):
        raise click.UsageError("--notice prints a letter and nothing else: leave out --json and --counteroffer")
    if (template or creditor or agency) and not notifies:
        raise click.UsageError("--template, --creditor and --agency belong to --notice")
    settings = load_settings()
    found = _look_up(decision_id, log or [own_log(settings)])
    keys_beside = Keys()
    line = opened(found, keys_beside)
    entry = entry_of(line) if line else left_of(found)
    unread = [] if line else [_why_unread(found, keys_beside)]
    if unread and (offers or notifies):
        raise DataError(
            f"decision {decision_id} is no longer whole: {unread[0]}; leave out --counteroffer and --notice"
        )
    beside = [Archive(folder) for folder in (*archives, found.file.parent / FOLDER)]
    sources = Sources(beside, told_beside(found, entry.record), settings.policy, settings.reasons)
    trusted = keys_of([found.file.parent], keys)
    seal = said_of_seal(found.file, found.number, trusted)
    events = [
        SealedEvent(event, said_of_seal(event.at.file, event.at.number, trusted))
        for event in events_of(found.file.parent, decision_id)
    ]
    dossier = Dossier.of(entry, sources, seal, unread, events)
    if notifies:
        click.echo(notice_of(dossier, template or TEMPLATE, creditor or CREDITOR, agency or AGENCY))
        return
    content = dossier.for_programs((line or found).content)
    offer = None
    if offers and isinstance(entry, Entry):
        offer = counteroffer(entry, sources.model_of(entry), sources.policy_of(entry))
    if as_json:
        more = {"counteroffer": offer and offer._asdict()} if offers else {}
        click.echo(json.dumps(content | more))
        return
    show(dossier, Console(highlight=False))
    if offers and isinstance(entry, Entry):
        click.echo(f"\n{said_of(offer, entry.record)}")


def _why_unread(line: Line, keys: Keys) -> str:
    if keys.erased:
        return "the application, its features, the customer and the reference were erased"
    return said_of_lost(str(line.file), "what is personal in it, in a line")


def _look_up(decision_id: str, logs: Sequence[str]) -> Line:
    """Find the line of a decision. Raises DataError if it is nowhere."""
    files = log_files(logs)
    likely = likely_files(files, decision_id)
    found = find_decision(likely, decision_id) or _search([f for f in files if f not in set(likely)], decision_id)
    if found is None:
        raise DataError(f"there is no decision {decision_id} on record in {', '.join(map(str, logs))}")
    return found


def _search(files: Sequence[Path], decision_id: str) -> Line | None:
    """Look into the files that should not hold the decision, and tell on stderr how far that is."""
    if not files:
        return None
    click.echo(f"It is not where its time says: looking into all other files, {len(files):,} in number", err=True)
    screen = Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Looking", total=len(files))
        return find_decision(files, decision_id, lambda _: progress.advance(task))
