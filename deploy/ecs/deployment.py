"""What the commands do with the stack and what is not a part of it: the image, and traces of task definitions."""

from __future__ import annotations

from collections.abc import Mapping

import click

from deploy.aws import Aws
from deploy.ecs.image import Image, in_repository
from deploy.ecs.network import default_network
from deploy.ecs.stack import Stack, State
from deploy.errors import DeployError

_DELETED_AT_ONCE = 10  # task definitions


class Deployment:
    """The service on AWS, by the name of its stack."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._stack = Stack(aws, name)
        self.name = name

    def state(self) -> State:
        """How it is now. Raises DeployError where there is none."""
        return self._stack.require()

    def deploy(self, image: Image, parameters: Mapping[str, str]) -> None:
        """Run this image, with these parameters of the template where they are to change. Raises DeployError."""
        state = self._stack.require_settled()
        running = state.image_tag if state else ""
        if not running:
            _require_for_the_first(parameters)
        if state is None:
            parameters = {**({} if "Vpc" in parameters else default_network(self._aws)), **parameters}
            self._stack.create(parameters)  # the repository alone, so that there is where to push to
        self._push(image)
        tags = {"ImageTag": image.tag}
        if running and running != image.tag:
            tags["PreviousImageTag"] = running
        self._stack.update({**parameters, **tags})
        if not self._aws.dry_run:
            self._tell(image.tag)

    def roll_back(self) -> None:
        """Run the image that ran before. Raises DeployError where there is none."""
        self._stack.require_settled()
        state = self._stack.require()
        previous = state.parameters.get("PreviousImageTag", "")
        if not previous:
            raise DeployError(f"no image ran in {self.name} before {state.image_tag or 'now'}: deploy the one you want")
        if not in_repository(self._aws, self.name, previous):
            raise DeployError(f"the image {previous} is no longer in the repository {self.name}: deploy it again")
        tags = {"ImageTag": previous, "PreviousImageTag": state.image_tag}
        self._stack.update(tags, by_previous_template=True)
        if not self._aws.dry_run:
            self._tell(previous)

    def destroy(self) -> None:
        """Delete the stack with all that is in it, and what CloudFormation leaves. Raises DeployError."""
        self._stack.delete()
        # CloudFormation only deregisters task definitions; inactive ones would be listed for ever.
        statuses = ("INACTIVE", "ACTIVE") if self._aws.dry_run else ("INACTIVE",)
        arns: list[str] = []
        for status in statuses:
            family = ("--family-prefix", self.name, "--status", status)
            arns += self._aws.read("ecs", "list-task-definitions", *family)["taskDefinitionArns"]
        for start in range(0, len(arns), _DELETED_AT_ONCE):
            batch = arns[start : start + _DELETED_AT_ONCE]
            self._aws.run("ecs", "delete-task-definitions", "--task-definitions", *batch)
        if not self._aws.dry_run:
            click.echo(f"Nothing of {self.name} is left in {self._aws.region}.")

    def _push(self, image: Image) -> None:
        if in_repository(self._aws, self.name, image.tag):
            click.echo(f"{image.tag} is in the repository already: not pushed again.", err=True)
            return
        state = self._stack.state()
        host = f"{self._aws.account}.dkr.ecr.{self._aws.region}.amazonaws.com"  # in a dry run there is no stack to tell
        repository = state.outputs["RepositoryUri"] if state else f"{host}/{self.name}"
        try:
            image.push(self._aws, repository)
        except DeployError as error:
            raise DeployError(
                f"{error.message}. The repository {self.name} is there, without this image, and what ran runs on: "
                "deploy again to continue, or destroy"
            ) from None

    def _tell(self, tag: str) -> None:
        outputs = self.state().outputs
        url = outputs["Url"]
        click.echo(f"{tag} runs at {url}")
        if url.startswith("https:"):
            click.echo(
                f"Let the domain of the certificate be a CNAME of {url.removeprefix('https://')}, and ask there."
            )
        else:
            click.echo("API keys and applications travel unencrypted: --certificate ARN ends that.")
        click.echo(f"Is it ready?  curl {url}/readyz")
        click.echo(f"Ask it:       curl {url}/classify -H 'Authorization: Bearer TOKEN' -d @application.json")


def _require_for_the_first(parameters: Mapping[str, str]) -> None:
    if "ApiKeys" not in parameters:
        raise DeployError("the first deployment needs --api-keys-file: without API keys the service does not start")
    if "CertificateArn" not in parameters:
        raise DeployError(
            "the first deployment needs --certificate ARN; or --plain-http, and API keys and applications travel "
            "unencrypted"
        )
