"""The image, in docker or podman on this machine and in the repository on AWS."""

from __future__ import annotations

import re
import shlex
import subprocess

import click

from deploy.aws import Aws
from deploy.container_tool import find_container_tool
from deploy.errors import AwsError, DeployError

PLATFORM = "linux/amd64"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Image:
    """An image in docker or podman on this machine."""

    def __init__(self, name: str, tool: str | None) -> None:
        """Find the image with this name and tag; `tool` is docker, podman, or None for whichever works.

        Raises DeployError if the tool, the image or its tag is missing, or if Fargate can't run the image.
        """
        _, _, self.tag = name.rpartition(":")
        if ":" not in name or not _TAG.fullmatch(self.tag):
            raise DeployError(f"{name} has no valid tag, which becomes its version; name it NAME:TAG")
        if self.tag == "latest":
            raise DeployError(
                "latest can't be deployed, because tags in the repository never change; name a version as NAME:TAG"
            )
        self._tool = find_container_tool(tool)
        self._name = name
        platform = self._platform()
        if platform != PLATFORM:
            raise DeployError(
                f"{name} is for {platform}, but Fargate runs {PLATFORM}; build it with --platform {PLATFORM}"
            )

    def push(self, aws: Aws, repository: str) -> None:
        """Push the image to the repository under its tag. Raises DeployError."""
        target = f"{repository}:{self.tag}"
        host = repository.partition("/")[0]
        login = ("login", "--username", "AWS", "--password-stdin", host)
        if aws.dry_run:
            click.echo(f"{aws.command_line('ecr', 'get-login-password')} | {self._command_line(*login)}")
            click.echo(self._command_line("tag", self._name, target))
            click.echo(self._command_line("push", target))
            return
        click.echo(f"Pushing {target}", err=True)
        self._run(*login, stdin=aws.password())
        self._run("tag", self._name, target)
        self._run("push", target)

    def _platform(self) -> str:
        result = self._call("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", self._name)
        if result.returncode:
            raise DeployError(
                f"there is no image {self._name}; see `{self._command_line('images')}`, or name another tool with "
                f"--tool ({_last_line(result.stderr)})"
            )
        return result.stdout.strip()

    def _command_line(self, *arguments: str) -> str:
        return shlex.join([self._tool, *arguments])

    def _run(self, *arguments: str, stdin: str | None = None) -> None:
        result = self._call(*arguments, stdin=stdin)
        if result.returncode:
            raise DeployError(f"{self._command_line(*arguments)} failed: {_last_line(result.stderr)}")

    def _call(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._tool, *arguments], input=stdin, capture_output=True, text=True, check=False)


def in_repository(aws: Aws, repository: str, tag: str) -> bool:
    """Return whether the repository holds an image with this tag. Raises AwsError."""
    if not aws.has_account:
        return False
    try:
        aws.read("ecr", "describe-images", "--repository-name", repository, "--image-ids", f"imageTag={tag}")
    except AwsError as error:
        if error.code in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return False
        raise
    return True


def _last_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else "no reason given"
