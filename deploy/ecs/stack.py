"""The CloudFormation stack, which holds everything on AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

import click
from rich.console import Console

from deploy.aws import Aws
from deploy.ecs.template import TEMPLATE, parameter_names
from deploy.errors import AwsError, DeployError

_BY_FILE = ("--template-body", f"file://{TEMPLATE}")
_SECRETS = ("ApiKeys", "JobsUrl")
_POLL_SECONDS = 3
_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


class State(NamedTuple):
    """A stack as CloudFormation describes it."""

    id: str
    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]

    @property
    def image_tag(self) -> str:
        """The tag that runs. It is empty while the stack holds only the repository."""
        return self.parameters.get("ImageTag", "")


class Stack:
    """A stack, identified by its name."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self.name = name

    def state(self) -> State | None:
        """Return the current state, or None if there is no such stack. Raises AwsError."""
        if not self._aws.has_account:
            return None
        try:
            return self._state(self.name)
        except AwsError as error:
            if error.code == "ValidationError" and "does not exist" in error.message:
                return None
            raise

    def require(self) -> State:
        """Return the current state. Raises DeployError if there is no such stack."""
        state = self.state()
        if state is None:
            raise DeployError(
                f"there is no stack {self.name} in {self._aws.region}; name another with --stack or --region, "
                "or create it with deploy"
            )
        return state

    def require_settled(self) -> State | None:
        """Return the current state, or None if there is no such stack. Raises DeployError if it can't be updated."""
        state = self.state()
        if state is None or state.status in _SETTLED:
            return state
        fix = "wait for it to finish" if state.status.endswith("IN_PROGRESS") else "destroy it, then deploy again"
        raise DeployError(f"stack {self.name} is in {state.status} and can't be updated; {fix}")

    def create(self, parameters: Mapping[str, str]) -> None:
        """Create the stack and wait. Raises DeployError with the reasons if that fails; nothing is left of it then."""
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        self._apply("create-stack", given, *_BY_FILE, "--on-failure", "DELETE")

    def update(self, parameters: Mapping[str, str], *, by_previous_template: bool = False) -> None:
        """Update the stack and wait. Parameters that are not given stay as they are.

        Raises DeployError with the reasons if that fails, and then everything is as before.
        """
        state = self.state()
        names = list(state.parameters) if state and by_previous_template else parameter_names()
        entries: list[dict[str, Any]] = []
        for name in names:
            if name in parameters:
                entries.append({"ParameterKey": name, "ParameterValue": parameters[name]})
            elif state is None or name in state.parameters:  # None in a dry run, which has not created it
                entries.append({"ParameterKey": name, "UsePreviousValue": True})
        template = ("--use-previous-template",) if by_previous_template else _BY_FILE
        self._apply("update-stack", entries, *template)

    def delete(self) -> None:
        """Delete the stack and wait. Raises DeployError with the reasons if that fails."""
        state = self.require()
        self._aws.run("cloudformation", "delete-stack", "--stack-name", self.name)
        self._wait(state.id, "DELETE_COMPLETE")

    def _apply(self, command: str, parameters: list[dict[str, Any]], *arguments: str) -> None:
        masked = [
            entry
            | ({"ParameterValue": "****"} if entry["ParameterKey"] in _SECRETS and "ParameterValue" in entry else {})
            for entry in parameters
        ]
        arguments = ("--stack-name", self.name, *arguments, "--capabilities", "CAPABILITY_IAM")
        try:
            answer = self._aws.run(
                "cloudformation",
                command,
                *arguments,
                "--parameters",
                "file:///dev/stdin",
                stdin=json.dumps(parameters),
                shown=json.dumps(masked),
            )
        except AwsError as error:
            if "No updates are to be performed" not in error.message:
                raise
            click.echo(f"Stack {self.name} is already up to date.", err=True)
            return
        if answer is not None:
            self._wait(answer["StackId"], "CREATE_COMPLETE" if command == "create-stack" else "UPDATE_COMPLETE")

    def _wait(self, stack_id: str, expected: str) -> None:
        if self._aws.dry_run:
            return
        click.echo(f"Waiting for stack {self.name} to reach {expected}; this takes several minutes", err=True)
        since = time.monotonic()
        with Console(stderr=True).status(self.name) as line:
            while (status := self._state(stack_id).status).endswith("IN_PROGRESS"):
                line.update(f"Stack {self.name} is in {status}, {time.monotonic() - since:.0f} s so far")
                time.sleep(_POLL_SECONDS)
        if status != expected:
            raise DeployError(f"stack {self.name} ended in {status}: {'; '.join(self._reasons(stack_id))}")

    def _reasons(self, stack_id: str) -> list[str]:
        """List what failed in the last change to the stack, and why, oldest first."""
        events = self._aws.read("cloudformation", "describe-stack-events", "--stack-name", stack_id)["StackEvents"]
        recent = takewhile(lambda event: event.get("ResourceStatusReason") != "User Initiated", events)
        failed = [event for event in recent if event["ResourceStatus"].endswith("FAILED")]
        reasons = {event["LogicalResourceId"]: event.get("ResourceStatusReason", "no reason given") for event in failed}
        # CloudFormation cancels what is under way when something fails, and lists that as failed too.
        causes = [f"{name}: {reason}" for name, reason in reasons.items() if "cancelled" not in reason]
        return causes[::-1] or ["no event says why"]

    def _state(self, name_or_id: str) -> State:
        stack = self._aws.read("cloudformation", "describe-stacks", "--stack-name", name_or_id)["Stacks"][0]
        return State(
            stack["StackId"],
            stack["StackStatus"],
            {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])},
            {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])},
        )
