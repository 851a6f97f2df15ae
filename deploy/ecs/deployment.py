"""Deploy, roll back and destroy, including what CloudFormation does not do: push images, delete task definitions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import click

from deploy.aws import Aws
from deploy.ecs.network import default_network
from deploy.ecs.registry import Image, in_repository
from deploy.ecs.stack import Stack, State
from deploy.ecs.template import resources_of
from deploy.errors import DeployError

_MAX_DELETED = 10  # task definitions that AWS deletes in one call


class Deployment:
    """The service on AWS, identified by the name of its stack."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._stack = Stack(aws, name)
        self.name = name

    def state(self) -> State:
        """Return the current state of the stack. Raises DeployError if there is none."""
        return self._stack.require()

    def deploy(self, image: Image, parameters: Mapping[str, str]) -> None:
        """Run an image, and change these parameters of the template; others stay as they are. Raises DeployError."""
        state = self._stack.require_settled()
        running = state.image_tag if state else ""
        if not running:
            _check_first_parameters(parameters)
        if state is None:
            parameters = {**({} if "Vpc" in parameters else default_network(self._aws)), **parameters}
            if self._aws.dry_run:
                created = [f"  {kind} {name}" for name, kind in resources_of(parameters).items()]
                click.echo("\n".join([f"This would create stack {self.name} with:", *created]), err=True)
            self._stack.create(parameters)  # only the repository, which the push needs
        self._push(image)
        tags = {"ImageTag": image.tag}
        if running and running != image.tag:
            tags["PreviousImageTag"] = running
        self._stack.update({**parameters, **tags})
        if not self._aws.dry_run:
            self._report(image.tag)

    def roll_back(self) -> None:
        """Run the previous image. Raises DeployError if there is none."""
        self._stack.require_settled()
        state = self._stack.require()
        previous = state.parameters.get("PreviousImageTag", "")
        if not previous:
            raise DeployError(f"no image ran in {self.name} before {state.image_tag or 'now'}; deploy the one you want")
        if not in_repository(self._aws, self.name, previous):
            raise DeployError(f"the image {previous} is no longer in the repository {self.name}; deploy it again")
        tags = {"ImageTag": previous, "PreviousImageTag": state.image_tag}
        self._stack.update(tags, by_previous_template=True)
        if not self._aws.dry_run:
            self._report(previous)

    def destroy(self, *, with_log: bool) -> None:
        """Delete the stack, and the task definitions that CloudFormation leaves behind. Raises DeployError."""
        outputs = self.state().outputs
        self._stack.delete()
        # CloudFormation only deregisters task definitions, and AWS lists inactive ones forever.
        statuses = ("INACTIVE", "ACTIVE") if self._aws.dry_run else ("INACTIVE",)
        arns: list[str] = []
        for family, status in product((self.name, f"{self.name}-worker"), statuses):
            listed = ("--family-prefix", family, "--status", status)
            arns += self._aws.read("ecs", "list-task-definitions", *listed)["taskDefinitionArns"]
        for start in range(0, len(arns), _MAX_DELETED):
            batch = arns[start : start + _MAX_DELETED]
            self._aws.run("ecs", "delete-task-definitions", "--task-definitions", *batch)
        kept = _kept(outputs)
        if with_log:
            for delete in kept.values():
                self._aws.run(*delete)
        if self._aws.dry_run:
            return
        if kept and not with_log:
            for what, delete in kept.items():
                click.echo(f"{what}, is kept; `aws {' '.join(delete)}` deletes it.")
            click.echo(f"Deleted all else of {self.name} in {self._aws.region}.")
        else:
            click.echo(f"Deleted all of {self.name} in {self._aws.region}.")

    def _push(self, image: Image) -> None:
        if in_repository(self._aws, self.name, image.tag):
            click.echo(f"{image.tag} is already in the repository, so it is not pushed again.", err=True)
            return
        state = self._stack.state()
        host = f"{self._aws.account}.dkr.ecr.{self._aws.region}.amazonaws.com"  # for a dry run, which has no stack yet
        repository = state.outputs["RepositoryUri"] if state else f"{host}/{self.name}"
        try:
            image.push(self._aws, repository)
        except DeployError as error:
            raise DeployError(
                f"{error.message}; the repository {self.name} is there without this image, and any previous image "
                "still runs: deploy again to continue, or destroy"
            ) from None

    def _report(self, tag: str) -> None:
        outputs = self.state().outputs
        url = outputs["Url"]
        click.echo(f"{tag} runs at {url}")
        if url.startswith("https:"):
            click.echo(
                f"Make the certificate's domain a CNAME of {url.removeprefix('https://')}, and send requests there."
            )
        else:
            click.echo("API keys and applications travel unencrypted; deploy with --certificate ARN to encrypt them.")
        click.echo(f"Check readiness:      curl {url}/readyz")
        click.echo(f"Send an application:  curl {url}/classify -H 'Authorization: Bearer TOKEN' -d @application.json")


def _kept(outputs: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Tell what outlives the stack, because decisions are on record there, and how to delete it."""
    group, files = outputs.get("LogGroup"), outputs.get("JobsFileSystem")
    kept: dict[str, tuple[str, ...]] = {}
    if group:
        kept[f"The log {group}, which has the decisions"] = ("logs", "delete-log-group", "--log-group-name", group)
    if files:
        kept[f"The file system {files}, which has the decisions of jobs"] = (
            "efs",
            "delete-file-system",
            "--file-system-id",
            files,
        )
    return kept


def _check_first_parameters(parameters: Mapping[str, str]) -> None:
    if "ApiKeys" not in parameters:
        raise DeployError("the first deployment needs --api-keys-file, as the service does not start without API keys")
    if "CertificateArn" not in parameters:
        raise DeployError(
            "the first deployment needs --certificate ARN, or --plain-http if API keys and applications may travel "
            "unencrypted"
        )
