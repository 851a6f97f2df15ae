"""Jobs on AWS: a second service, which runs them, and the files that both share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deploy.cloud import Cloud
from tests.deploy.inventory import assert_refused, inventory, outputs_of

URL = "rediss://:a-password@redis.example.com:6380/0"


def container_of(cloud: Cloud, region: str, family: str) -> dict[str, Any]:
    definition = cloud.client("ecs", region).describe_task_definition(taskDefinition=family)["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    return dict(container)


def test_jobs_come_with_workers_and_go_without_their_records(cloud: Cloud) -> None:
    region = "eu-west-3"
    there = {"AWS_DEFAULT_REGION": region}
    before = inventory(cloud, region)
    url = cloud.folder / "jobs-url"
    url.write_text(f"{URL}\n")
    options = ("--jobs-url-file", url, "--worker-memory", "4096")
    with_jobs = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, *options, **there)
    assert with_jobs.returncode == 0, with_jobs.stderr
    now = {kind: len(names) for kind, names in inventory(cloud, region).items()}
    assert (now["services"], now["file systems"], now["access points"]) == (2, 1, 2)
    service, worker = (container_of(cloud, region, name) for name in ("credit-risk", "credit-risk-worker"))
    assert worker["image"] == service["image"]
    assert worker["command"] == ["python", "-m", "credit_risk", "worker"]
    for container in (service, worker):
        assert {"name": "CREDIT_RISK_JOBS_FOLDER", "value": "/home/bentoml/jobs"} in container["environment"]
        assert [secret["name"] for secret in container["secrets"]] == ["CREDIT_RISK_API_KEYS", "CREDIT_RISK_JOBS"]
        assert "a-password" not in json.dumps(container)
    (files,) = cloud.client("efs", region).describe_file_systems()["FileSystems"]
    assert (files["Encrypted"], files["NumberOfMountTargets"]) == (True, 2)
    outputs = outputs_of(cloud, region)
    assert outputs["JobsFileSystem"] == files["FileSystemId"]
    assert outputs["JobsSecurityGroup"].startswith("sg-")

    dry_run = cloud.deploy("v1", "--jobs-url-file", url, "--dry-run", **there)
    status = cloud.run("status", **there)
    assert "worker tasks" in status.stdout
    for shown in (with_jobs, dry_run, status):
        assert shown.returncode == 0, shown.stderr
        assert "a-password" not in shown.stdout + shown.stderr

    destroy = cloud.run("destroy", "--yes", **there)
    assert destroy.returncode == 0, destroy.stderr
    assert f"The file system {files['FileSystemId']}, which has the decisions of jobs, is kept" in destroy.stdout
    after = inventory(cloud, region)
    assert after == before | {kind: after[kind] for kind in ("log groups", "file systems")}


def test_an_empty_file_turns_jobs_off(cloud: Cloud) -> None:
    empty = cloud.folder / "no-jobs"
    empty.write_text("\n")
    options = ("--plain-http", "--api-keys-file", cloud.keys_file, "--jobs-url-file", empty, "--stack", "without")
    dry_run = cloud.deploy("v1", *options, "--dry-run")
    assert dry_run.returncode == 0, dry_run.stderr
    assert "WorkerService" not in dry_run.stderr


@pytest.mark.parametrize("content", ["http://a-password@redis", "redis//a-password", "sqlite:///a-password"])
def test_another_address_than_that_of_a_redis_is_refused(cloud: Cloud, content: str) -> None:
    wrong = cloud.folder / "wrong-url"
    wrong.write_text(content)
    refused = cloud.deploy("v1", "--jobs-url-file", wrong)
    assert_refused(refused, "must have the address of a Redis, redis://HOST:PORT/DB or rediss:// with TLS")
    assert "a-password" not in refused.stdout + refused.stderr
    assert_refused(cloud.deploy("v1", "--jobs-url-file", cloud.folder / "nowhere"), "can't be read")
