"""What stops a command, with one sentence that names the fix."""

from __future__ import annotations

import click


class DeployError(click.ClickException):
    """Ends the command with its sentence on stderr and exit code 1."""


class AwsError(DeployError):
    """An AWS command failed; `code` is AWS's name of the error, empty where the command did not get so far."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
