"""`python -m credit_risk`: what is done beside the running service."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from importlib import import_module

import click

COMMANDS = {
    "policy": "credit_risk.policy_check",
    "replay": "credit_risk.replay",
    "score": "credit_risk.portfolio",
}


class Commands(click.Group):
    """Loads a command when it is asked for: the image has the packages of some only, as of `replay`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        try:
            command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        except ModuleNotFoundError as error:
            return _unavailable(cmd_name, str(error.name))
        return command


def _unavailable(name: str, package: str) -> click.Command:
    """A command in the place of one that can't run here, which says why."""

    def fail() -> None:
        raise click.ClickException(f"{name} needs {package}, which is not installed here; see requirements.txt")

    return click.Command(name, callback=fail, help=f"Not here: it needs {package}.", add_help_option=False)


@click.group(cls=Commands)
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
