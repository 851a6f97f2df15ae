"""`python -m credit_risk new-key`: make an API key."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256

import click


@click.command()
@click.argument("name")
def new_key(name: str) -> None:
    """Make an API key for a caller called NAME.

    The token is shown only this once; give it to the caller. The service is given only its sha256.
    """
    token = secrets.token_urlsafe(32)
    click.echo(f"Token, for {name} alone: {token}")
    click.echo(f"CREDIT_RISK_API_KEYS='{json.dumps({name: sha256(token.encode()).hexdigest()})}'")
