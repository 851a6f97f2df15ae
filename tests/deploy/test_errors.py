"""Every error of `python -m deploy.ecs` is one sentence that names the fix."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from credit_risk.serving.keys import Key
from credit_risk.serving.settings import Settings
from deploy.ecs.keys import load_keys
from tests.deploy.cloud import VENV, Cloud
from tests.deploy.inventory import assert_refused, inventory


def test_a_failed_stack_gives_the_reason_from_aws(deployed: Cloud, tmp_path: Path) -> None:
    """moto never fails, so a fake `aws` gives the answers of AWS."""
    stack: dict[str, Any] = {"StackId": "an-id", "StackStatus": "UPDATE_COMPLETE", "Parameters": [], "Outputs": []}
    stack["Parameters"] = [{"ParameterKey": "ImageTag", "ParameterValue": "v0"}]
    started = {
        "LogicalResourceId": "credit-risk",
        "ResourceStatus": "UPDATE_IN_PROGRESS",
        "ResourceStatusReason": "User Initiated",
    }
    events = [
        {
            "LogicalResourceId": "LatencyAlarm",
            "ResourceStatus": "UPDATE_FAILED",
            "ResourceStatusReason": "Resource update cancelled",
        },
        {
            "LogicalResourceId": "Service",
            "ResourceStatus": "UPDATE_FAILED",
            "ResourceStatusReason": "ECS Deployment Circuit Breaker was triggered",
        },
        started,
        {"LogicalResourceId": "Cluster", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "long ago"},
    ]
    answers = {
        "describe-stacks --stack-name credit-risk": {"Stacks": [stack]},
        "describe-stacks --stack-name an-id": {"Stacks": [stack | {"StackStatus": "UPDATE_ROLLBACK_COMPLETE"}]},
        "update-stack": {"StackId": "an-id"},
        "describe-stack-events": {"StackEvents": events},
    }
    lines = [f"*'{words}'*) echo '{json.dumps(answer)}';;" for words, answer in answers.items()]
    aws = tmp_path / "aws"
    aws.write_text("\n".join(("#!/bin/sh", 'case "$*" in', *lines, f'*) exec {VENV / "aws"} "$@";;', "esac", "")))
    aws.chmod(0o755)
    result = deployed.deploy("v1", PATH=f"{tmp_path}:{deployed.environment['PATH']}")
    assert_refused(result, "UPDATE_ROLLBACK_COMPLETE: Service: ECS Deployment Circuit Breaker was triggered")
    assert "cancelled" not in result.stderr
    assert "long ago" not in result.stderr


@pytest.mark.parametrize("command", ["status", "rollback", "logs", "destroy"])
def test_without_a_stack_there_is_nothing_to_do(cloud: Cloud, command: str) -> None:
    assert_refused(cloud.run(command, "--stack", "nowhere"), "no stack nowhere", "--stack")


def test_without_aws(cloud: Cloud, tmp_path: Path) -> None:
    # A Python with the libraries of this one, but without an aws beside it.
    python = tmp_path / "python"
    python.symlink_to(VENV / "python")
    libraries = sysconfig.get_path("purelib")
    result = cloud.run_with(python, "status", PATH="/usr/bin:/bin", PYTHONPATH=libraries)
    assert shutil.which("aws", path="/usr/bin:/bin") is None
    assert_refused(result, "aws is not installed", "pip install")


def test_a_log_is_kept_as_long_as_the_law_asks(cloud: Cloud) -> None:
    keep = ("--dry-run", "--certificate", "arn:aws:acm:x", "--api-keys-file", cloud.keys_file, "--log-retention-days")
    assert_refused(cloud.deploy("v1", *keep, "731"), "762 or more", "12 CFR 1002.12(b)", "--keep-less")
    assert cloud.deploy("v1", *keep, "731", "--keep-less").returncode == 0
    assert cloud.deploy("v1", *keep, "1096").returncode == 0


def test_without_credentials(cloud: Cloud) -> None:
    result = cloud.run("status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert_refused(result, "no valid credentials", "aws configure")


def test_without_a_region(cloud: Cloud) -> None:
    assert_refused(cloud.run("status", AWS_DEFAULT_REGION=""), "no region is set", "--region")


def test_without_docker_and_podman(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "aws").symlink_to(VENV / "aws")
    assert_refused(
        cloud.deploy("v1", PATH=str(tmp_path)), "neither docker nor podman works", "install Docker or Podman"
    )


def test_a_missing_image(cloud: Cloud) -> None:
    assert_refused(cloud.deploy("missing"), "no image credit_risk_classifier:missing", "docker images")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("credit_risk_classifier", "NAME:TAG"),
        ("localhost:5000/credit_risk_classifier", "NAME:TAG"),
        ("credit_risk_classifier:latest", "NAME:TAG"),
    ],
)
def test_an_image_without_a_version(cloud: Cloud, image: str, expected: str) -> None:
    assert_refused(cloud.run("deploy", image), expected)


def test_an_image_for_another_processor(cloud: Cloud) -> None:
    result = cloud.deploy("v1", DOCKER_PLATFORM="linux/arm64")
    assert_refused(result, "linux/arm64", "--platform linux/amd64")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"branch": "not-a-digest-but-a-token"}',
        '{"a name": "' + "0" * 64 + '"}',
        "\xff",
        '{"branch": 1}',
    ],
)
def test_an_invalid_api_keys_file(cloud: Cloud, tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content, encoding="latin-1")
    result = cloud.deploy("v1", "--plain-http", "--api-keys-file", path)
    assert_refused(result, "must be a JSON object of the sha256 of tokens", "new-key")
    assert "not-a-digest-but-a-token" not in result.stderr


def test_a_missing_api_keys_file(cloud: Cloud, tmp_path: Path) -> None:
    assert_refused(cloud.deploy("v1", "--api-keys-file", tmp_path / "none"), "can't be read: No such file")


def test_api_keys_keep_their_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"branch": "0" * 64, "partner": {"sha256": "1" * 64, "requests_per_second": 50, "batches": 2}}
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(keys))
    monkeypatch.setenv("CREDIT_RISK_API_KEYS", load_keys(path)["ApiKeys"])
    branch, partner = Key(sha256="0" * 64), Key(sha256="1" * 64, requests_per_second=50, batches=2)
    assert Settings().api_keys == {"branch": branch, "partner": partner}


def test_more_api_keys_than_cloudformation_takes(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({f"key-{number}": "0" * 64 for number in range(100)}))
    assert_refused(cloud.deploy("v1", "--api-keys-file", path), "4096", "leave some out")


def test_a_first_deployment_says_what_it_lacks(cloud: Cloud) -> None:
    nowhere = ("--stack", "nowhere")
    assert_refused(cloud.deploy("v1", *nowhere), "--api-keys-file")
    result = cloud.deploy("v1", *nowhere, "--api-keys-file", cloud.keys_file)
    assert_refused(result, "--certificate", "--plain-http", "unencrypted")


def test_without_a_default_vpc(cloud: Cloud) -> None:
    region = "ap-south-1"
    ec2 = cloud.client("ec2", region)
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    result = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, "--region", region)
    assert_refused(result, "no default VPC in ap-south-1", "--vpc and --subnets")
    assert inventory(cloud, region)["stacks"] == []
