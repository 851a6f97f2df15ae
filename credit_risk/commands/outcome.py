"""`python -m credit_risk outcome`: put the outcome of a loan on record."""

from __future__ import annotations

import json
from pathlib import Path

import click

from credit_risk.commands.events import asking, own_events, told
from credit_risk.commands.options import DecisionId, log_option, supersedes_option
from credit_risk.contract.event_parsing import parse_outcome


@click.command()
@click.argument("decision_id", metavar="ID", type=DecisionId())
@click.argument("outcome", type=click.Choice(["repaid", "defaulted"]))
@click.option("--date", required=True, metavar="DATE", help="When that was certain, such as 2026-11-27.")
@supersedes_option("outcome")
@log_option
def outcome(decision_id: str, outcome: str, date: str, supersedes: str | None, log: Path | None) -> None:
    """Put on record that the loan of the decision ID was repaid or has defaulted.

    What is on record is never changed: a later outcome supersedes an earlier one. The same outcome again is not
    recorded twice.
    """
    sent = {"outcome": outcome, "date": date, **({"supersedes": supersedes} if supersedes else {})}
    with told() as tell:
        tell(own_events(log).outcome(decision_id, parse_outcome(json.dumps(sent).encode()), asking()))
