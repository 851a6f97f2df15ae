"""What exists in moto, and a check of the errors of commands."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from tests.deploy.cloud import KEYS, REGION, Cloud


def inventory(cloud: Cloud, region: str = REGION) -> dict[str, list[str]]:
    """List the names of everything that the template or the commands can create, by kind."""

    def ask(service: str, operation: str, listed: str, **arguments: str) -> Sequence[Any]:
        answer: Sequence[Any] = getattr(cloud.client(service, region), operation)(**arguments)[listed]
        return answer

    clusters = ask("ecs", "list_clusters", "clusterArns")
    balancers = [entry["LoadBalancerArn"] for entry in ask("elbv2", "describe_load_balancers", "LoadBalancers")]
    repositories = [entry["repositoryName"] for entry in ask("ecr", "describe_repositories", "repositories")]
    found = {
        "stacks": [entry["StackName"] for entry in ask("cloudformation", "describe_stacks", "Stacks")],
        "repositories": repositories,
        "images": [
            f"{name}:{image['imageTag']}"
            for name in repositories
            for image in ask("ecr", "list_images", "imageIds", repositoryName=name)
        ],
        "clusters": clusters,
        "services": [arn for name in clusters for arn in ask("ecs", "list_services", "serviceArns", cluster=name)],
        "task definitions": [
            f"{arn} {status}"
            for status in ("ACTIVE", "INACTIVE")
            for arn in ask("ecs", "list_task_definitions", "taskDefinitionArns", status=status)
        ],
        "load balancers": balancers,
        "listeners": [
            entry["ListenerArn"]
            for arn in balancers
            for entry in ask("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
        ],
        "target groups": [entry["TargetGroupArn"] for entry in ask("elbv2", "describe_target_groups", "TargetGroups")],
        "security groups": [
            entry["GroupId"]
            for entry in ask("ec2", "describe_security_groups", "SecurityGroups")
            if entry["GroupName"] != "default"
        ],
        "file systems": [entry["FileSystemId"] for entry in ask("efs", "describe_file_systems", "FileSystems")],
        "access points": [entry["AccessPointId"] for entry in ask("efs", "describe_access_points", "AccessPoints")],
        "roles": [entry["RoleName"] for entry in ask("iam", "list_roles", "Roles")],
        "log groups": [entry["logGroupName"] for entry in ask("logs", "describe_log_groups", "logGroups")],
        "secrets": [entry["ARN"] for entry in ask("secretsmanager", "list_secrets", "SecretList")],
        "topics": [entry["TopicArn"] for entry in ask("sns", "list_topics", "Topics")],
        "subscriptions": [entry["Endpoint"] for entry in ask("sns", "list_subscriptions", "Subscriptions")],
        "alarms": [entry["AlarmName"] for entry in ask("cloudwatch", "describe_alarms", "MetricAlarms")],
        "scalable targets": [
            entry["ResourceId"]
            for entry in ask(
                "application-autoscaling", "describe_scalable_targets", "ScalableTargets", ServiceNamespace="ecs"
            )
        ],
    }
    return {kind: sorted(names) for kind, names in found.items()}


def outputs_of(cloud: Cloud, region: str = REGION) -> dict[str, str]:
    """Return the outputs of the stack credit-risk."""
    (stack,) = cloud.client("cloudformation", region).describe_stacks(StackName="credit-risk")["Stacks"]
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}


def running_image(cloud: Cloud, region: str) -> str:
    """Return the image in the service's current task definition."""
    ecs = cloud.client("ecs", region)
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = ecs.list_services(cluster=cluster)["serviceArns"]
    arn = ecs.describe_services(cluster=cluster, services=[service])["services"][0]["taskDefinition"]
    definition = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    image: str = definition["containerDefinitions"][0]["image"]
    return image


def assert_refused(result: subprocess.CompletedProcess[str], *expected: str) -> None:
    """Check that stderr has one error with all of these texts, and that no output has a key."""
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    for text in expected:
        assert text in errors[0]
    for digest in KEYS.values():
        assert digest not in result.stderr + result.stdout
