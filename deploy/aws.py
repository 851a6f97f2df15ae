"""Run the `aws` command line, version 1 or 2. Its own settings apply, such as the profile and AWS_ENDPOINT_URL."""

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
    """Runs commands in one region, as one account. In a dry run, `run` prints them instead."""

    def __init__(self, region: str | None, *, dry_run: bool = False, needs_account: bool = True) -> None:
        """Raise DeployError if there is no `aws`, no region or no valid credentials.

        What does not need an account gets `has_account` False instead, and names in capitals to fill in.
        """
        self.dry_run = dry_run
        try:
            self._connect(region)
            self.has_account = True
        except DeployError as error:
            if needs_account:
                raise
            self.has_account = False
            self.region, self.account = region or self._region_variable() or "REGION", "ACCOUNT"
            click.echo(f"This shows a first deployment without looking into an account: {error.message}", err=True)

    def _connect(self, region: str | None) -> None:
        # A virtual environment that is not activated is not on PATH, but may have an `aws` of its own.
        found = shutil.which("aws") or shutil.which("aws", path=str(Path(sys.executable).parent))
        if found is None:
            raise DeployError("aws is not installed; run pip install -r requirements-deploy.txt, or install AWS CLI 2")
        self._executable = found
        self.region = region or self._default_region()
        try:
            self.account = str(self.read("sts", "get-caller-identity")["Account"])
        except AwsError as error:
            raise DeployError(f"aws has no valid credentials; set them up with `aws configure` ({error})") from None

    def read(self, *arguments: str) -> Any:
        """Run a command that changes nothing, even in a dry run, and return its answer. Raises AwsError."""
        return self._run(*arguments)

    def run(self, *arguments: str, stdin: str | None = None, shown: str | None = None) -> Any:
        """Run a command and return its answer. A dry run prints the command and returns None. Raises AwsError.

        Pass secrets by stdin, as any user can list the arguments of a process. A dry run prints `shown` in its place.
        """
        if self.dry_run:
            click.echo(self.command_line(*arguments) + (f" <<< {shlex.quote(shown)}" if shown else ""))
            return None
        return self._run(*arguments, stdin=stdin)

    def copy(self, source: str, target: str) -> None:
        """Copy a file to or from s3://. Raises AwsError."""
        self._output("s3", "cp", "--only-show-errors", source, target)

    def password(self) -> str:
        """Return the password with which a container tool logs in to ECR as the user AWS. Raises AwsError."""
        return self._output("ecr", "get-login-password").strip()

    def command_line(self, *arguments: str) -> str:
        """Format a command as a user would type it."""
        return shlex.join(["aws", "--region", self.region, *arguments])

    @staticmethod
    def _region_variable() -> str:
        return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""

    def _default_region(self) -> str:
        region = self._region_variable() or self._call("configure", "get", "region").stdout.strip()
        if not region:
            raise DeployError("no region is set; give --region, set AWS_REGION or run `aws configure`")
        return region

    def _run(self, *arguments: str, stdin: str | None = None) -> Any:
        output = self._output(*arguments, stdin=stdin)
        return json.loads(output) if output.strip() else None

    def _output(self, *arguments: str, stdin: str | None = None) -> str:
        result = self._call("--region", self.region, "--output", "json", *arguments, stdin=stdin)
        if result.returncode:
            match = _ERROR.search(result.stderr)
            code, message = match.groups() if match else ("", result.stderr)
            raise AwsError(f"aws {' '.join(arguments[:2])} failed: {' '.join(message.split())}", code)
        return result.stdout

    def _call(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._executable, *arguments], input=stdin, capture_output=True, text=True, check=False)
