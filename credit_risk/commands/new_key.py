"""`python -m credit_risk new-key`: make an API key."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from typing import get_args

import click

from credit_risk.serving.keys import MOST_BATCHES, Key, Right


@click.command()
@click.argument("name")
@click.option("--requests-per-second", type=click.IntRange(1), help="Most requests a second.  [default: no limit]")
@click.option("--batches", type=click.IntRange(1, MOST_BATCHES), help="Most batches at a time.  [default: no limit]")
@click.option(
    "--right",
    type=click.Choice(get_args(Right)),
    default="decide",
    show_default=True,
    help="To ask for decisions, or to put reviews and outcomes on record.",
)
def new_key(name: str, right: Right, requests_per_second: int | None, batches: int | None) -> None:
    """Make an API key for a caller called NAME.

    The token is shown only this once; give it to the caller. The service is given only its sha256.
    """
    token = secrets.token_urlsafe(32)
    digest = sha256(token.encode()).hexdigest()
    key = Key(sha256=digest, right=right, requests_per_second=requests_per_second, batches=batches)
    limited = key.model_dump(exclude_defaults=True)
    given = limited if len(limited) > 1 else key.sha256
    click.echo(f"Token, for {name} alone: {token}")
    click.echo(f"CREDIT_RISK_API_KEYS='{json.dumps({name: given})}'")
