"""`python -m deploy.ecs`: run the service on AWS ECS Fargate, from an image on this machine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import click

from credit_risk.record.retention import KEPT_BY_LAW
from deploy.aws import Aws
from deploy.container_tool import TOOLS
from deploy.ecs.deployment import Deployment
from deploy.ecs.jobs import load_jobs_url
from deploy.ecs.keys import load_keys
from deploy.ecs.log import Ago, show_log
from deploy.ecs.registry import Image
from deploy.ecs.report import show_status

CPU = click.Choice(["256", "512", "1024", "2048", "4096"])
MEMORY = click.Choice(["512", "1024", "2048", "3072", "4096", "5120", "6144", "7168", "8192"])
FILE = click.Path(path_type=Path, dir_okay=False)


def _stack_name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        raise click.BadParameter(
            "must consist of lowercase letters, digits and single hyphens and start with a letter, because it also "
            "names the image repository"
        )
    return value


stack_option = click.option(
    "--stack",
    default="credit-risk",
    show_default=True,
    callback=_stack_name,
    help="Name of the CloudFormation stack and of its resources.",
)
region_option = click.option("--region", help="AWS region. By default, that of the environment or of `aws configure`.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the commands instead of running them.")


@click.group()
def cli() -> None:
    """Run the credit-risk service on AWS ECS Fargate, behind a load balancer.

    Requires the aws command line with credentials and, to deploy, docker or podman. A dry run of the first deployment
    needs no credentials. Everything is in one CloudFormation stack, deploy/ecs/template.yaml.
    """


@cli.command()
@click.argument("image")
@click.option(
    "--api-keys-file",
    type=FILE,
    help="JSON file of API keys: the sha256 of each token by name. Required for the first deployment.",
)
@click.option(
    "--certificate",
    metavar="ARN",
    help="Certificate in AWS Certificate Manager. The first deployment requires it or --plain-http.",
)
@click.option(
    "--plain-http",
    is_flag=True,
    help="Serve without encryption, so that anybody on the way can read API keys and applications.",
)
@click.option("--vpc", help="ID of the VPC; requires --subnets. By default, the default VPC.")
@click.option("--subnets", help="IDs of public subnets in at least two availability zones, separated by commas.")
@click.option("--allowed-cidr", help="Addresses that may reach the service. Initially 0.0.0.0/0.")
@click.option("--cpu", type=CPU, help="CPU units of a task, of which 1024 are one core. Initially 256.")
@click.option("--memory", type=MEMORY, help="Memory of a task in MiB. Initially 512.")
@click.option("--min-tasks", type=click.IntRange(min=1), help="Minimum number of tasks. Initially 1.")
@click.option("--max-tasks", type=click.IntRange(min=1), help="Maximum number of tasks. Initially 4.")
@click.option(
    "--jobs-url-file",
    type=FILE,
    help="File with the address of the Redis that keeps jobs, such as rediss://HOST:6379/0. Initially there are no "
    "jobs; an empty file turns them off again.",
)
@click.option("--worker-cpu", type=CPU, help="CPU units of a task that runs jobs. Initially 1024.")
@click.option("--worker-memory", type=MEMORY, help="Memory of such a task in MiB. Initially 2048.")
@click.option("--worker-tasks", type=click.IntRange(min=0), help="Number of such tasks. Initially 1.")
@click.option(
    "--log-retention-days",
    type=click.IntRange(min=1),
    help="Days to keep the log with the decisions, of those that CloudWatch offers. Initially 1096.",
)
@click.option(
    "--keep-less",
    is_flag=True,
    help="Let --log-retention-days be less than the 25 months that Regulation B asks for.",
)
@click.option(
    "--alarm-email", help='Email address for alarms, which its owner must confirm; "" for none. Initially none.'
)
@click.option(
    "--tool", type=click.Choice(TOOLS), help="Tool that holds the image. By default docker if it runs, else podman."
)
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
    jobs_url_file: Path | None,
    log_retention_days: int | None,
    keep_less: bool,
    tool: str | None,
    stack: str,
    region: str | None,
    dry_run: bool,
    **sizes: str | int | None,
) -> None:
    """Deploy IMAGE, or update the running service to it.

    IMAGE is a local image, such as credit_risk_classifier:TAG. It is pushed to the repository, and replaces the running
    image without an interruption. Options that are left out keep their current values. If the new image does not
    become ready, AWS returns to the previous one.
    """
    if certificate and plain_http:
        raise click.UsageError("--certificate and --plain-http exclude each other; give one of them")
    if bool(vpc) != bool(subnets):
        raise click.UsageError("--vpc and --subnets go together; give both or neither")
    if log_retention_days is not None and log_retention_days < KEPT_BY_LAW and not keep_less:
        raise click.BadParameter(
            f"must be {KEPT_BY_LAW} or more, because Regulation B asks to keep decisions for 25 months "
            "(12 CFR 1002.12(b)); add --keep-less where that does not bind you",
            param_hint="--log-retention-days",
        )
    sizes["log_retention_days"] = log_retention_days
    parameters = {
        option.replace("_", " ").title().replace(" ", ""): str(value)
        for option, value in {**sizes, "vpc": vpc, "subnets": subnets}.items()
        if value is not None
    }
    if api_keys_file:
        parameters |= load_keys(api_keys_file)
    if jobs_url_file:
        parameters |= load_jobs_url(jobs_url_file)
    if certificate or plain_http:
        parameters["CertificateArn"] = certificate or ""
    aws = Aws(region, dry_run=dry_run, needs_account=not dry_run)
    Deployment(aws, stack).deploy(Image(image, tool), parameters)


@cli.command()
@stack_option
@region_option
@dry_run_option
def status(stack: str, region: str | None, dry_run: bool) -> None:
    """Show the stack, URL, images, tasks, rollout and alarms."""
    aws = Aws(region, dry_run=dry_run)
    show_status(aws, stack, Deployment(aws, stack).state())


@cli.command()
@stack_option
@region_option
@dry_run_option
def rollback(stack: str, region: str | None, dry_run: bool) -> None:
    """Return to the previous image. Run it again to return to the newer one."""
    Deployment(Aws(region, dry_run=dry_run), stack).roll_back()


@cli.command()
@click.option("--since", type=Ago(), default="10m", show_default=True, help="How far back to start, in s, m, h or d.")
@click.option("--follow", is_flag=True, help="Keep printing new lines until interrupted.")
@stack_option
@region_option
@dry_run_option
def logs(since: timedelta, follow: bool, stack: str, region: str | None, dry_run: bool) -> None:
    """Print the log of the service."""
    aws = Aws(region, dry_run=dry_run)
    show_log(aws, Deployment(aws, stack).state(), since, follow=follow)


@cli.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--with-log", is_flag=True, help="Delete the log and the files of jobs with the decisions, too.")
@stack_option
@region_option
@dry_run_option
def destroy(yes: bool, with_log: bool, stack: str, region: str | None, dry_run: bool) -> None:
    """Delete the whole stack, with images and API keys, and keep its log and the files of jobs: the decisions."""
    deployment = Deployment(Aws(region, dry_run=dry_run), stack)
    deployment.state()
    if not (yes or dry_run):
        what = "images, API keys, log and files of jobs: the decisions" if with_log else "images and API keys"
        click.confirm(f"Permanently delete {stack} with its {what}?", abort=True)
    deployment.destroy(with_log=with_log)
