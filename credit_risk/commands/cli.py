"""The command line `python -m credit_risk`, for everything around the running service."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from credit_risk.contract.errors import CreditRiskError, DataError

COMMANDS = {
    "decision": ("credit_risk.commands.decision", "decision"),
    "erase": ("credit_risk.commands.erase", "erase_decisions"),
    "features": ("credit_risk.commands.features", "features"),
    "models": ("credit_risk.commands.models", "models"),
    "new-key": ("credit_risk.commands.new_key", "new_key"),
    "outcome": ("credit_risk.commands.outcome", "outcome"),
    "policy": ("credit_risk.commands.policy", "policy"),
    "replay": ("credit_risk.commands.replay", "replay"),
    "review": ("credit_risk.commands.review", "review"),
    "score": ("credit_risk.commands.score", "score"),
    "verify": ("credit_risk.commands.verify", "verify_logs"),
    "worker": ("credit_risk.commands.worker", "worker"),
}


class Commands(click.Group):
    """Loads a command when it is asked for, because the image has the packages of some commands only.

    An error that the project raises on purpose ends a command with its sentence instead of a traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            return _unavailable(cmd_name, str(error.name))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CreditRiskError as error:
            problems = error.problems if isinstance(error, DataError) else []
            raise click.ClickException("\n  ".join([str(error), *problems])) from None


def _unavailable(name: str, package: str) -> click.Command:
    """Stand in for a command that can't run here, and say why."""

    def fail() -> None:
        raise click.ClickException(f"{name} requires {package}, which is not installed here; see requirements.txt")

    return click.Command(name, callback=fail, help=f"Unavailable: requires {package}.", add_help_option=False)


@click.group(cls=Commands)
def cli() -> None:
    """Tools for the credit-risk service."""
