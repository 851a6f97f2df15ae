"""`python -m credit_risk review`: put a person's review of a decision on record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from credit_risk.commands.events import asking, own_events, told
from credit_risk.commands.options import DecisionId, log_option, reasons_option, supersedes_option
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.event_parsing import parse_review, reasons_of


@click.command()
@click.argument("decision_id", metavar="ID", type=DecisionId())
@click.argument("status", type=click.Choice(["APPROVED", "DECLINED"]))
@click.option("--reviewer", required=True, metavar="NAME", help="Who has decided.")
@click.option("--reason", "codes", multiple=True, metavar="CODE", help="Code of a principal reason, to decline.")
@click.option("--note", metavar="TEXT", help="For the record; the applicant is never shown it.")
@click.option("--override", is_flag=True, help="Overrule a decision that was APPROVED or DECLINED.")
@supersedes_option("review")
@reasons_option
@log_option
def review(
    decision_id: str,
    status: str,
    reviewer: str,
    codes: Sequence[str],
    note: str | None,
    override: bool,
    supersedes: str | None,
    reasons: Path,
    log: Path | None,
) -> None:
    """Put on record that a person has reviewed the decision ID, and has APPROVED or DECLINED the application.

    A MAYBE awaits a review. What is on record is never changed: a later review supersedes an earlier one, and both are
    shown by `python -m credit_risk decision ID`. The same review again is not recorded twice.
    """
    sent = {"status": status, "reviewer": reviewer, "reason_codes": codes, "override": override}
    optional = {"note": note, "supersedes": supersedes}
    with told() as tell:
        asked = parse_review(json.dumps({**sent, **{k: v for k, v in optional.items() if v is not None}}).encode())
        texts = reasons_of(asked, load_catalogue(reasons))
        tell(own_events(log).review(decision_id, asked, texts, asking()))
