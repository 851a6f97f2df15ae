"""Print the status of the deployment."""

from __future__ import annotations

import click

from deploy.aws import Aws
from deploy.ecs.stack import State


def show_status(aws: Aws, name: str, state: State) -> None:
    """Print the state of the stack, its images, tasks, rollout and alarms."""
    rows = [("stack", f"{name} in {aws.region}: {state.status}")]
    for label, output in (("URL", "Url"), ("image", "ImageTag"), ("previous image", "PreviousImageTag")):
        rows.append((label, state.outputs.get(output) or "none"))
    for label, text in rows + _service_rows(aws, state) + _alarm_rows(aws, name):
        click.echo(f"{label:28}{text}")


def _service_rows(aws: Aws, state: State) -> list[tuple[str, str]]:
    if "Service" not in state.outputs:
        return [("service", "none yet; deploy again")]
    services = [state.outputs[output] for output in ("Service", "Worker") if output in state.outputs]
    where = ("--cluster", state.outputs["Cluster"], "--services", *services)
    answer = aws.run("ecs", "describe-services", *where)
    if answer is None:
        return []
    rows = []
    for service in answer["services"]:
        of = "worker " if service["serviceName"] == state.outputs.get("Worker") else ""
        rows.append((f"{of}tasks", f"{service['runningCount']} running of {service['desiredCount']} desired"))
        for deployment in service["deployments"]:
            text = f"{deployment.get('rolloutState', 'UNKNOWN')} {deployment.get('rolloutStateReason', '')}"
            rows.append((f"{of}{deployment['status'].lower()} rollout", text.strip()))
    return rows


def _alarm_rows(aws: Aws, name: str) -> list[tuple[str, str]]:
    answer = aws.run("cloudwatch", "describe-alarms", "--alarm-name-prefix", f"{name}/")
    alarms = answer["MetricAlarms"] if answer else []
    return [(f"alarm {alarm['AlarmName'].partition('/')[2]}", alarm["StateValue"]) for alarm in alarms]
