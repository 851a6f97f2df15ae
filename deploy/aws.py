"""The `aws` command line, version 1 or 2, whose settings (profile, AWS_ENDPOINT_URL and so on) all hold."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from deploy.errors import AwsError, DeployError

_ERROR = re.compile(r"An error occurred \((\w+)\).*?: (.*)", re.DOTALL)


class Aws:
    """Runs commands in one region, as one account. In a dry run it prints what it is for."""

    def __init__(self, region: str | None, *, dry_run: bool = False) -> None:
        """Raises DeployError where there is no `aws`, no region or no valid credentials."""
        # The virtual environment's own one, where the environment is used without being activated.
        found = shutil.which("aws") or shutil.which("aws", path=str(Path(sys.executable).parent))
        if found is None:
            raise DeployError("aws is not installed: pip install -r requirements-deploy.txt, or install AWS CLI 2")
        self._executable = found
        self.dry_run = dry_run
        self.region = region or self._default_region()
        try:
            self.account = str(self.read("sts", "get-caller-identity")["Account"])
        except AwsError as error:
            raise DeployError(f"AWS knows no valid credentials; set them up with `aws configure`: {error}") from None

    def read(self, *arguments: str) -> Any:
        """The answer to a command that changes nothing, also in a dry run. Raises AwsError."""
        return self._run(*arguments)

    def run(self, *arguments: str, stdin: str | None = None, shown: str | None = None) -> Any:
        """The answer to a command; in a dry run it is printed instead, and the answer is None. Raises AwsError.

        What no list of processes should show goes in by stdin; a dry run prints `shown` for it.
        """
        if self.dry_run:
            click.echo(self.shown(*arguments) + (f" <<< {shlex.quote(shown)}" if shown else ""))
            return None
        return self._run(*arguments, stdin=stdin)

    def copy(self, source: str, target: str) -> None:
        """Copy a file to s3:// or from there. Raises AwsError."""
        self._output("s3", "cp", "--only-show-errors", source, target)

    def password(self) -> str:
        """What a container tool logs in to ECR with, as the user AWS."""
        return self._output("ecr", "get-login-password").strip()

    def shown(self, *arguments: str) -> str:
        """The command as one would type it."""
        return shlex.join(["aws", "--region", self.region, *arguments])

    def _default_region(self) -> str:
        told = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        configured = told or self._call("configure", "get", "region").stdout.strip()
        if not configured:
            raise DeployError("no region is set: give --region, set AWS_REGION, or run `aws configure`")
        return configured

    def _run(self, *arguments: str, stdin: str | None = None) -> Any:
        output = self._output(*arguments, stdin=stdin)
        return json.loads(output) if output.strip() else None

    def _output(self, *arguments: str, stdin: str | None = None) -> str:
        result = self._call("--region", self.region, "--output", "json", *arguments, stdin=stdin)
        if result.returncode:
            told = _ERROR.search(result.stderr)
            code, message = told.groups() if told else ("", result.stderr)
            raise AwsError(f"aws {' '.join(arguments[:2])} failed: {' '.join(message.split())}", code)
        return result.stdout

    def _call(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._executable, *arguments], input=stdin, capture_output=True, text=True, check=False)
