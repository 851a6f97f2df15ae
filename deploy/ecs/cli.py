"""`python -m deploy.ecs`: the service on AWS ECS Fargate, from an image on this machine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import click

from deploy.aws import Aws
from deploy.container_tool import TOOLS
from deploy.ecs.deployment import Deployment
from deploy.ecs.image import Image
from deploy.ecs.keys import load_keys
from deploy.ecs.log import Ago, show_log
from deploy.ecs.report import show_status

CPU = click.Choice(["256", "512", "1024", "2048", "4096"])
MEMORY = click.Choice(["512", "1024", "2048", "3072", "4096", "5120", "6144", "7168", "8192"])
FILE = click.Path(path_type=Path, dir_okay=False)


def _stack_name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        raise click.BadParameter("must be small letters, digits and hyphens, as it names the image repository too")
    return value


stack_option = click.option(
    "--stack",
    default="credit-risk",
    show_default=True,
    callback=_stack_name,
    help="Name of the CloudFormation stack and of what is in it.",
)
region_option = click.option("--region", help="AWS region; without it, that of the environment or of `aws configure`.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the commands instead of running them.")


@click.group()
def cli() -> None:
    """Run the credit-risk service on AWS ECS Fargate, behind a load balancer.

    It takes the aws command line with credentials and, to deploy, docker or podman. All of it is one CloudFormation
    stack: deploy/ecs/template.yaml.
    """


@cli.command()
@click.argument("image")
@click.option("--api-keys-file", type=FILE, help="API keys in JSON, the sha256 of tokens by name; needed at first.")
@click.option(
    "--certificate", metavar="ARN", help="Certificate of AWS Certificate Manager; this or --plain-http at first."
)
@click.option("--plain-http", is_flag=True, help="API keys and applications travel unencrypted, for anybody to read.")
@click.option("--vpc", help="ID of the VPC, with --subnets; the default VPC without it.")
@click.option("--subnets", help="IDs of public subnets, with commas between, in two availability zones or more.")
@click.option("--allowed-cidr", help="Addresses that may reach the service; at first 0.0.0.0/0.")
@click.option("--cpu", type=CPU, help="CPU units of a task, 1024 to a core; at first 256.")
@click.option("--memory", type=MEMORY, help="MiB of a task; at first 512.")
@click.option("--min-tasks", type=click.IntRange(min=1), help="The fewest tasks; at first 1.")
@click.option("--max-tasks", type=click.IntRange(min=1), help="The most tasks; at first 4.")
@click.option("--alarm-email", help='Address for alarms, once it is confirmed; at first none, as with "".')
@click.option("--tool", type=click.Choice(TOOLS), help="Which of them holds the image; docker where it runs.")
@stack_option
@region_option
@dry_run_option
def deploy(
    image: str,
    api_keys_file: Path | None,
    certificate: str | None,
    plain_http: bool,
    vpc: str | None,
    subnets: str | None,
    tool: str | None,
    stack: str,
    region: str | None,
    dry_run: bool,
    **sizes: str | int | None,
) -> None:
    """Deploy IMAGE, a local one such as credit_risk_classifier:TAG, or update to it.

    It is pushed, and replaces what runs without an interruption. What no option names stays as it is. If the new image
    does not get ready, AWS goes back to the one that ran.
    """
    if certificate and plain_http:
        raise click.UsageError("--certificate and --plain-http exclude each other")
    if bool(vpc) != bool(subnets):
        raise click.UsageError("--vpc and --subnets go together")
    parameters = {
        option.replace("_", " ").title().replace(" ", ""): str(value)
        for option, value in {**sizes, "vpc": vpc, "subnets": subnets}.items()
        if value is not None
    }
    if api_keys_file:
        parameters |= load_keys(api_keys_file)
    if certificate or plain_http:
        parameters["CertificateArn"] = certificate or ""
    aws = Aws(region, dry_run=dry_run)
    Deployment(aws, stack).deploy(Image(image, tool), parameters)


@cli.command()
@stack_option
@region_option
@dry_run_option
def status(stack: str, region: str | None, dry_run: bool) -> None:
    """Show the stack's state, the URL, the images, tasks, rollout and alarms."""
    aws = Aws(region, dry_run=dry_run)
    show_status(aws, stack, Deployment(aws, stack).state())


@cli.command()
@stack_option
@region_option
@dry_run_option
def rollback(stack: str, region: str | None, dry_run: bool) -> None:
    """Return to the image that ran before; once more, and the newer one is back."""
    Deployment(Aws(region, dry_run=dry_run), stack).roll_back()


@cli.command()
@click.option("--since", type=Ago(), default="10m", show_default=True, help="How far back: a number with s, m, h or d.")
@click.option("--follow", is_flag=True, help="Go on with what is logged, until interrupted.")
@stack_option
@region_option
@dry_run_option
def logs(since: timedelta, follow: bool, stack: str, region: str | None, dry_run: bool) -> None:
    """Print what the service logged."""
    aws = Aws(region, dry_run=dry_run)
    show_log(aws, Deployment(aws, stack).state(), since, follow=follow)


@cli.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@stack_option
@region_option
@dry_run_option
def destroy(yes: bool, stack: str, region: str | None, dry_run: bool) -> None:
    """Delete the service and everything that belongs to it: images, API keys and logs too."""
    deployment = Deployment(Aws(region, dry_run=dry_run), stack)
    deployment.state()
    if not (yes or dry_run):
        click.confirm(f"Delete {stack} with its images, API keys and logs for good?", abort=True)
    deployment.destroy()
