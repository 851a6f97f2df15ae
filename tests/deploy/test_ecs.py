"""`python -m deploy.ecs` with the real aws command line, against moto's server.

There is no registry, so docker is a fake that puts an image manifest into moto's ECR on push. test_template.py covers
the parts of the template that moto does not create, and moto_server.py adds what moto lacks for updating and deleting a
stack. Only AWS itself can show that tasks start, that a failed rollout is rolled back, and that the IAM policies
suffice.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from deploy.ecs.cli import cli
from tests.deploy.cloud import KEYS, REGION, Cloud
from tests.deploy.inventory import assert_refused, inventory, outputs_of, running_image

REPOSITORY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/credit-risk"


def test_dry_runs_change_nothing_and_show_no_key(deployed: Cloud) -> None:
    before = inventory(deployed), outputs_of(deployed)
    calls = deployed.docker_log.read_text().splitlines()
    update = deployed.deploy("v9", "--api-keys-file", deployed.keys_file, "--cpu", "512", "--dry-run")
    first = deployed.deploy(
        "v9", "--stack", "another", "--plain-http", "--api-keys-file", deployed.keys_file, "--dry-run"
    )
    destroy, status, logs = (deployed.run(command, "--dry-run") for command in ("destroy", "status", "logs"))
    assert (inventory(deployed), outputs_of(deployed)) == before
    new_calls = deployed.docker_log.read_text().splitlines()[len(calls) :]
    assert {" ".join(line.split()[:2]) for line in new_calls} == {"docker info", "docker image"}
    for result in (update, first, destroy, status, logs):
        assert result.returncode == 0, result.stderr
        assert not any(digest in result.stdout + result.stderr for digest in KEYS.values())
    commands = [line.split(" <<< ")[0].split() for line in first.stdout.splitlines()]
    steps = [
        " ".join(word for word in command if word in ("create-stack", "update-stack", "login", "tag", "push"))
        for command in commands
    ]
    assert steps == ["create-stack", "login", "tag", "push", "update-stack"]
    (entries,) = [
        json.loads(line.split(" <<< ")[1].strip("'")) for line in update.stdout.splitlines() if " <<< " in line
    ]
    values = {entry["ParameterKey"]: entry.get("ParameterValue") for entry in entries}
    assert (values["ImageTag"], values["PreviousImageTag"], values["Cpu"]) == ("v9", "v1", "512")
    assert values["ApiKeys"] == "****"
    assert values["Memory"] is None  # keeps its previous value
    assert "delete-stack --stack-name credit-risk" in destroy.stdout
    assert "ecs describe-services --cluster credit-risk" in status.stdout
    group = outputs_of(deployed)["LogGroup"]
    assert f"logs filter-log-events --log-group-name {group}" in logs.stdout
    assert "delete-log-group" not in destroy.stdout
    assert f"delete-log-group --log-group-name {group}" in deployed.run("destroy", "--with-log", "--dry-run").stdout


def test_a_dry_run_of_the_first_deployment_needs_no_credentials(cloud: Cloud) -> None:
    nobody = {"PATH": cloud.environment["PATH"], "HOME": cloud.environment["HOME"]}
    nobody |= {"DOCKER_LOG": cloud.environment["DOCKER_LOG"], "AWS_EC2_METADATA_DISABLED": "true"}
    stranger = Cloud(cloud.folder, nobody)
    options = ("--certificate", "arn:aws:acm:of-the-domain", "--api-keys-file", cloud.keys_file, "--dry-run")
    for there in ({}, {"AWS_DEFAULT_REGION": REGION}):
        result = stranger.deploy("v1", *options, **there)
        assert result.returncode == 0, result.stderr
        region = there.get("AWS_DEFAULT_REGION", "REGION")
        commands = [line.split(" <<< ")[0] for line in result.stdout.splitlines()]
        create, login, tag, push, update = commands
        assert f"aws --region {region} cloudformation create-stack --stack-name credit-risk" in create
        assert f"docker login --username AWS --password-stdin ACCOUNT.dkr.ecr.{region}.amazonaws.com" in login
        assert "docker tag credit_risk_classifier:v1 " in tag
        assert push.endswith(f"ACCOUNT.dkr.ecr.{region}.amazonaws.com/credit-risk:v1")
        assert "update-stack" in update
        assert "This would create stack credit-risk with:" in result.stderr
        for resource in ("ECR::Repository Repository", "ECS::Service Service", "Listener HttpsListener"):
            assert resource in result.stderr
        assert "SNS::Topic" not in result.stderr
        assert not any(digest in result.stdout + result.stderr for digest in KEYS.values())
    for command in ("status", "logs", "rollback", "destroy"):
        refused = stranger.run(command, "--dry-run", AWS_DEFAULT_REGION=REGION)
        assert_refused(refused, "aws has no valid credentials; set them up with `aws configure`")


def test_update_roll_back_and_destroy(cloud: Cloud) -> None:
    region = "eu-west-1"
    there = {"AWS_DEFAULT_REGION": region}
    before = inventory(cloud, region)
    first = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, "--region", region)
    assert first.returncode == 0, first.stderr
    assert "travel unencrypted" in first.stdout
    assert f"curl {outputs_of(cloud, region)['Url']}/readyz" in first.stdout
    assert_refused(cloud.run("rollback", **there), "no image ran in credit-risk before v1")

    second = cloud.deploy("v2", "--memory", "1024", **there)
    assert second.returncode == 0, second.stderr
    (group,) = cloud.client("logs", region).describe_log_groups()["logGroups"]
    assert running_image(cloud, region).endswith("/credit-risk:v2")
    assert outputs_of(cloud, region)["PreviousImageTag"] == "v1"

    again = cloud.deploy("v2", **there)
    assert again.returncode == 0, again.stderr
    assert "v2 is already in the repository" in again.stderr
    assert "already up to date" in again.stderr
    assert outputs_of(cloud, region)["PreviousImageTag"] == "v1"

    rollback = cloud.run("rollback", **there)
    assert rollback.returncode == 0, rollback.stderr
    assert running_image(cloud, region).endswith("/credit-risk:v1")
    outputs = outputs_of(cloud, region)
    assert (outputs["ImageTag"], outputs["PreviousImageTag"]) == ("v1", "v2")
    definition = cloud.client("ecs", region).describe_task_definition(taskDefinition="credit-risk")["taskDefinition"]
    assert definition["memory"] == "1024"

    cloud.client("ecr", region).batch_delete_image(repositoryName="credit-risk", imageIds=[{"imageTag": "v2"}])
    assert_refused(cloud.run("rollback", **there), "v2 is no longer in the repository")

    assert cloud.run("destroy", stdin="n\n", **there).returncode == 1
    assert "credit-risk" in inventory(cloud, region)["stacks"]
    destroy = cloud.run("destroy", stdin="y\n", **there)
    assert destroy.returncode == 0, destroy.stderr
    assert f"The log {group['logGroupName']}, which has the decisions, is kept" in destroy.stdout
    assert f"Deleted all else of credit-risk in {region}" in destroy.stdout
    assert inventory(cloud, region) == before | {"log groups": [group["logGroupName"]]}
    beside_it = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, **there)
    assert beside_it.returncode == 0, beside_it.stderr
    assert len(inventory(cloud, region)["log groups"]) == 2
    assert cloud.run("destroy", "--yes", "--with-log", **there).returncode == 0
    assert_refused(cloud.run("status", **there), f"no stack credit-risk in {region}")


def test_a_certificate_means_https_and_a_redirect(cloud: Cloud) -> None:
    region = "eu-north-1"
    there = {"AWS_DEFAULT_REGION": region}
    arn = cloud.client("acm", region).request_certificate(DomainName="risk.example.com")["CertificateArn"]
    options = ("--certificate", arn, "--log-retention-days", "1827")
    first = cloud.deploy("v1", *options, "--api-keys-file", cloud.keys_file, **there)
    assert first.returncode == 0, first.stderr
    (group,) = cloud.client("logs", region).describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 1827
    assert outputs_of(cloud, region)["Url"].startswith("https://")
    elb = cloud.client("elbv2", region)
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    found = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    listeners = {listener["Port"]: listener for listener in found}
    assert set(listeners) == {80, 443}
    assert listeners[443]["Certificates"][0]["CertificateArn"] == arn
    assert listeners[443]["DefaultActions"][0]["Type"] == "forward"
    redirect = listeners[80]["DefaultActions"][0]
    assert (redirect["Type"], redirect["RedirectConfig"]["Protocol"]) == ("redirect", "HTTPS")
    destroy = cloud.run("destroy", "--yes", "--with-log", **there)
    assert f"Deleted all of credit-risk in {region}" in destroy.stdout
    assert inventory(cloud, region)["log groups"] == []


def test_a_failed_push_leaves_the_repository_and_deploying_again_continues(cloud: Cloud) -> None:
    region = "eu-west-2"
    there = {"AWS_DEFAULT_REGION": region}
    options = ("--plain-http", "--api-keys-file", cloud.keys_file)
    failed = cloud.deploy("v1", *options, DOCKER_PUSH_FAILS="1", **there)
    assert_refused(failed, "connection reset by peer", "without this image", "deploy again to continue")
    left = inventory(cloud, region)
    assert (left["repositories"], left["images"], left["clusters"]) == (["credit-risk"], [], [])
    assert "none yet" in cloud.run("status", **there).stdout
    assert_refused(cloud.run("logs", **there), "not deployed yet")
    continued = cloud.deploy("v1", *options, **there)
    assert continued.returncode == 0, continued.stderr
    assert running_image(cloud, region).endswith(":v1")
    assert cloud.run("destroy", "--yes", **there).returncode == 0


def test_status_shows_what_runs_and_alarms(deployed: Cloud) -> None:
    # moto creates no alarms through CloudFormation, so create one here, and one of another stack, which must not show.
    alarm = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Period": 60, "Threshold": 0}
    alarm |= {"MetricName": "m", "Namespace": "n", "Statistic": "Sum"}
    watch = deployed.client("cloudwatch")
    names = ["credit-risk/target-5xx", "credit-risk-2/target-5xx"]
    for name in names:
        watch.put_metric_alarm(AlarmName=name, **alarm)
    watch.set_alarm_state(AlarmName=names[0], StateValue="ALARM", StateReason="a test")
    result = deployed.run("status")
    watch.delete_alarms(AlarmNames=names)
    assert result.returncode == 0, result.stderr
    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert rows["stack"] == f"credit-risk in {REGION}: UPDATE_COMPLETE"
    assert rows["URL"] == outputs_of(deployed)["Url"]
    assert rows["image"] == "v1"
    assert rows["previous"].split() == ["image", "none"]
    assert rows["tasks"] == "0 running of 0 desired"  # moto starts no tasks
    assert rows["primary"].startswith("rollout")
    assert rows["alarm"].split() == ["target-5xx", "ALARM"]


def test_logs_prints_recent_lines(deployed: Cloud) -> None:
    logs = deployed.client("logs")
    now = int(time.time() * 1000)
    group = outputs_of(deployed)["LogGroup"]
    logs.create_log_stream(logGroupName=group, logStreamName="task/1")
    events = [{"timestamp": now - 3_600_000, "message": "an hour ago"}, {"timestamp": now, "message": "just now"}]
    logs.put_log_events(logGroupName=group, logStreamName="task/1", logEvents=events)
    last_minutes, last_hours = deployed.run("logs"), deployed.run("logs", "--since", "2h")
    logs.delete_log_stream(logGroupName=group, logStreamName="task/1")
    assert [line.split(maxsplit=1)[1] for line in last_minutes.stdout.splitlines()] == ["just now"]
    assert [line.split(maxsplit=1)[1] for line in last_hours.stdout.splitlines()] == ["an hour ago", "just now"]


def test_docker_gets_the_password_by_stdin(deployed: Cloud) -> None:
    lines = deployed.docker_log.read_text().splitlines()
    host = REPOSITORY.partition("/")[0]
    assert f"docker login --username AWS --password-stdin {host}" in lines
    assert f"docker tag credit_risk_classifier:v1 {REPOSITORY}:v1" in lines
    assert f"docker push {REPOSITORY}:v1" in lines
    assert Path(f"{deployed.docker_log}.password").read_text()


def test_help_explains_every_command_and_option(cloud: Cloud) -> None:
    assert cloud.run("--help").returncode == 0
    assert set(cli.commands) == {"deploy", "status", "rollback", "logs", "destroy"}
    for command in cli.commands.values():
        assert command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))
