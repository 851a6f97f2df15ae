"""Errors that stop a command, each with one sentence that names the fix."""

from __future__ import annotations

import click


class DeployError(click.ClickException):
    """Stops the command: its sentence goes to stderr, and the exit code is 1."""


class AwsError(DeployError):
    """A failed AWS command. `code` is AWS's name for the error, empty if the command did not reach AWS."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
