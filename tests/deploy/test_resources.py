"""What a deployment creates in moto. test_template.py covers the parts of the template that moto does not create."""

from __future__ import annotations

import json
from ast import literal_eval
from typing import Any

from deploy.ecs.template import TEMPLATE
from tests.deploy.cloud import KEYS, REGION, Cloud
from tests.deploy.inventory import inventory, outputs_of

REPOSITORY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/credit-risk"


def container_of(cloud: Cloud) -> dict[str, Any]:
    definition = cloud.client("ecs").describe_task_definition(taskDefinition="credit-risk")["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    return dict(container)


def test_a_first_deployment_makes_everything(deployed: Cloud) -> None:
    counts = {kind: len(names) for kind, names in inventory(deployed).items()}
    assert counts == {
        "stacks": 1,
        "repositories": 1,
        "images": 1,
        "clusters": 1,
        "services": 1,
        "task definitions": 1,
        "load balancers": 1,
        "listeners": 1,
        "target groups": 1,
        "security groups": 2,
        "file systems": 0,
        "access points": 0,
        "roles": 2,
        "log groups": 1,
        "topics": 1,
        "subscriptions": 1,
        # moto can't create these through CloudFormation
        "secrets": 0,
        "alarms": 0,
        "scalable targets": 0,
    }


def test_outputs_name_the_resources(deployed: Cloud) -> None:
    outputs = outputs_of(deployed)
    assert outputs["RepositoryUri"] == REPOSITORY
    assert outputs["Url"].startswith("http://credit-risk-")
    assert outputs["Cluster"] == "credit-risk"
    assert outputs["LogGroup"].startswith("credit-risk-LogGroup-")
    assert outputs["ImageTag"] == "v1"
    assert outputs["PreviousImageTag"] == ""


def test_tags_in_the_repository_are_immutable(deployed: Cloud) -> None:
    (repository,) = deployed.client("ecr").describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"


def test_the_container_is_small_sealed_and_watched(deployed: Cloud) -> None:
    container = container_of(deployed)
    assert container["name"] == "credit_risk_classifier"
    assert container["image"] == f"{REPOSITORY}:v1"
    assert container["memoryReservation"] == 256
    assert container["stopTimeout"] == 30
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"] == {"initProcessEnabled": True}
    assert container["mountPoints"] == [{"sourceVolume": "tmp", "containerPath": "/tmp"}]
    assert [port["containerPort"] for port in container["portMappings"]] == [3000]
    assert container["healthCheck"]["command"][:3] == ["CMD", "python", "-c"]
    assert "http://127.0.0.1:3000/readyz" in container["healthCheck"]["command"][3]
    assert container["logConfiguration"]["logDriver"] == "awslogs"
    assert container["logConfiguration"]["options"]["awslogs-group"] == outputs_of(deployed)["LogGroup"]
    definition = deployed.client("ecs").describe_task_definition(taskDefinition="credit-risk")["taskDefinition"]
    assert definition["memory"] == "512"


def test_no_key_is_in_the_task_definition(deployed: Cloud) -> None:
    container = container_of(deployed)
    assert container["environment"] == [
        {"name": "CREDIT_RISK_REQUIRE_API_KEYS", "value": "true"},
        {"name": "CREDIT_RISK_OPEN_METRICS", "value": "false"},
    ]
    assert [secret["name"] for secret in container["secrets"]] == ["CREDIT_RISK_API_KEYS"]
    assert not any(digest in json.dumps(container) for digest in KEYS.values())


def test_roles_may_use_what_belongs_to_this_service_only(deployed: Cloud) -> None:
    iam = deployed.client("iam")
    policies = {}
    for role in iam.list_roles()["Roles"]:
        assert not iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
            policies[role["RoleName"]] = {entry["Sid"]: entry for entry in literal_eval(policy)["Statement"]}
    ((role_name, statements),) = policies.items()
    assert "ExecutionRole" in role_name
    assert statements["LogIn"]["Action"] == "ecr:GetAuthorizationToken"
    assert [sid for sid, entry in statements.items() if entry.get("Resource") == "*"] == ["LogIn"]
    assert statements["Pull"]["Resource"] == f"arn:aws:ecr:{REGION}:123456789012:repository/credit-risk"
    group = outputs_of(deployed)["LogGroup"]
    assert statements["Log"]["Resource"] == f"arn:aws:logs:{REGION}:123456789012:log-group:{group}"


def test_tasks_are_reached_by_the_load_balancer_only(deployed: Cloud) -> None:
    groups = {
        group["Description"]: group
        for group in deployed.client("ec2").describe_security_groups()["SecurityGroups"]
        if group["GroupName"] != "default"
    }
    balancer = groups["Load balancer of the credit-risk service"]
    (tasks,) = groups["Tasks of the credit-risk service"]["IpPermissions"]
    assert (tasks["FromPort"], tasks["ToPort"], tasks["IpRanges"]) == (3000, 3000, [])
    assert [pair["GroupId"] for pair in tasks["UserIdGroupPairs"]] == [balancer["GroupId"]]
    (public,) = balancer["IpPermissions"]
    assert (public["FromPort"], public["ToPort"]) == (80, 80)
    assert [entry["CidrIp"] for entry in public["IpRanges"]] == ["0.0.0.0/0"]


def test_the_load_balancer_asks_tasks_whether_they_are_ready(deployed: Cloud) -> None:
    elb = deployed.client("elbv2")
    (group,) = elb.describe_target_groups()["TargetGroups"]
    assert (group["TargetType"], group["Port"], group["HealthCheckPath"]) == ("ip", 3000, "/readyz")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    (listener,) = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    assert listener["DefaultActions"][0]["TargetGroupArn"] == group["TargetGroupArn"]


def test_logs_are_kept_for_25_months_at_least_and_alarms_sent(deployed: Cloud) -> None:
    (group,) = deployed.client("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 1096
    (subscription,) = deployed.client("sns").list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "risk@example.com")


def test_the_template_is_the_one_that_is_deployed(deployed: Cloud) -> None:
    body = deployed.client("cloudformation").get_template(StackName="credit-risk")["TemplateBody"]
    assert body == TEMPLATE.read_text()
