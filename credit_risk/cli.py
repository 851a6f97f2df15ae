"""`python -m credit_risk`: what is done beside the running service."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256

import click


@click.group()
def cli() -> None:
    """Tools around the credit-risk service."""


@cli.command("new-key")
@click.argument("name")
def new_key(name: str) -> None:
    """Make an API key for a caller called NAME.

    The token goes to the caller and is shown this once; the service is given its sha256 only.
    """
    token = secrets.token_urlsafe(32)
    click.echo(f"token, for {name} alone: {token}")
    click.echo(f"CREDIT_RISK_API_KEYS='{json.dumps({name: sha256(token.encode()).hexdigest()})}'")
