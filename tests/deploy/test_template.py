"""The text of the CloudFormation template, above all the parts that moto can't create.

Through CloudFormation, moto creates no Secrets Manager secrets, autoscaling or alarms. It drops egress rules, the
attributes of load balancers and target groups, and the lifecycle and scanning of a repository. Of a service it keeps
only the cluster and the task definition; of a task definition it keeps only the containers, volumes and memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from deploy.ecs.template import PARAMETER_OF, TEMPLATE, resources_of
from tests.deploy.cloud import VENV

IMAGE = TEMPLATE.parents[1] / "final-stage.Dockerfile"
CONDITIONS = ("Deployed", *PARAMETER_OF)


class TagLoader(yaml.SafeLoader):
    """Reads `!Tag value` as {"Tag": value}."""


def construct_tag(loader: TagLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_scalar(node)} if isinstance(node, yaml.ScalarNode) else None


TagLoader.add_multi_constructor("!", construct_tag)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=TagLoader)
    return loaded


@pytest.fixture(scope="module")
def properties(template: dict[str, Any]) -> dict[str, Any]:
    return {name: resource.get("Properties", {}) for name, resource in template["Resources"].items()}


def test_cfn_lint_finds_nothing() -> None:
    result = subprocess.run([sys.executable, VENV / "cfn-lint", TEMPLATE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_cloudformation_takes_it_from_a_command_line() -> None:
    assert len(TEMPLATE.read_bytes()) <= 51_200
    assert " &" not in TEMPLATE.read_text()  # CloudFormation refuses YAML aliases


def test_the_repository_alone_comes_without_an_image(template: dict[str, Any]) -> None:
    always = [name for name, resource in template["Resources"].items() if resource.get("Condition") not in CONDITIONS]
    assert always == ["Repository"]


def test_what_needs_a_parameter_is_created_with_it_only() -> None:
    least = resources_of({})
    assert least["Service"] == "ECS::Service"
    with_certificate = resources_of({"CertificateArn": "arn"})
    assert set(with_certificate) - set(least) == {"HttpsIngress", "HttpsListener"}
    assert set(resources_of({"AlarmEmail": "risk@example.com"})) - set(least) == {"AlarmTopic"}
    for_jobs = set(resources_of({"JobsUrl": "redis://redis"})) - set(least)
    assert {"WorkerService", "WorkerRole", "JobsSecret", "JobsFileSystem"} < for_jobs
    assert not {name for name in least if "Job" in name or "Worker" in name}


def test_parameters_have_the_defaults_of_a_small_service(template: dict[str, Any]) -> None:
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    assert defaults == {
        "ImageTag": "",
        "PreviousImageTag": "",
        "Vpc": None,
        "Subnets": None,
        "AllowedCidr": "0.0.0.0/0",
        "CertificateArn": "",
        "ApiKeys": "{}",
        "ApiKeysVersion": "",
        "Cpu": "256",
        "Memory": "512",
        "MinTasks": 1,
        "MaxTasks": 4,
        "JobsUrl": "",
        "JobsUrlVersion": "",
        "JobsPort": 6379,
        "WorkerCpu": "1024",
        "WorkerMemory": "2048",
        "WorkerTasks": 1,
        "LogRetentionDays": 1096,
        "LatencyAlarmSeconds": 0.25,
        "AlarmEmail": "",
    }
    hidden = [name for name, parameter in template["Parameters"].items() if parameter.get("NoEcho")]
    assert hidden == ["ApiKeys", "JobsUrl"]


def test_the_repository_scans_keeps_20_images_and_is_emptied_with_the_stack(properties: dict[str, Any]) -> None:
    repository = properties["Repository"]
    assert repository["EmptyOnDelete"] is True
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20}
    assert rule["action"] == {"type": "expire"}


def test_the_task_is_a_fargate_task_of_the_sizes_given(properties: dict[str, Any]) -> None:
    task = properties["TaskDefinition"]
    assert (task["Cpu"], task["Memory"]) == ({"Ref": "Cpu"}, {"Ref": "Memory"})
    assert (task["RequiresCompatibilities"], task["NetworkMode"]) == (["FARGATE"], "awsvpc")
    assert task["RuntimePlatform"] == {"OperatingSystemFamily": "LINUX", "CpuArchitecture": "X86_64"}
    assert task["ExecutionRoleArn"] == {"GetAtt": "ExecutionRole.Arn"}
    assert task["TaskRoleArn"] == {"GetAtt": "TaskRole.Arn"}


def test_the_api_keys_come_by_the_secret_alone(properties: dict[str, Any]) -> None:
    (container,) = properties["TaskDefinition"]["ContainerDefinitions"]
    assert container["Secrets"][0] == {"Name": "CREDIT_RISK_API_KEYS", "ValueFrom": {"Ref": "Secret"}}
    assert properties["Secret"]["SecretString"] == {"Ref": "ApiKeys"}
    assert TEMPLATE.read_text().count("!Ref ApiKeys\n") == 1


def test_the_secrets_are_the_only_ones_that_may_be_read(properties: dict[str, Any]) -> None:
    (policy,) = properties["ExecutionRole"]["Policies"]
    *_, keys, jobs = policy["PolicyDocument"]["Statement"]
    assert (keys["Sid"], keys["Resource"]) == ("ReadApiKeys", {"Ref": "Secret"})
    condition, of_jobs, otherwise = jobs["If"]
    assert (condition, otherwise) == ("DeployedJobs", {"Ref": "AWS::NoValue"})
    assert (of_jobs["Sid"], of_jobs["Resource"]) == ("ReadJobsUrl", {"Ref": "JobsSecret"})
    assert of_jobs["Action"] == keys["Action"] == "secretsmanager:GetSecretValue"


def test_a_rollout_keeps_what_runs_until_the_new_is_healthy(properties: dict[str, Any]) -> None:
    service = properties["Service"]
    assert service["DeploymentConfiguration"] == {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
    }
    assert service["HealthCheckGracePeriodSeconds"] == 60
    assert service["LaunchType"] == "FARGATE"
    assert "DesiredCount" not in service
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "ENABLED"
    assert network["SecurityGroups"] == [
        {"Ref": "TaskSecurityGroup"},
        {"If": ["DeployedJobs", {"Ref": "JobsSecurityGroup"}, {"Ref": "AWS::NoValue"}]},
    ]


def test_nothing_goes_out_but_https_of_tasks_and_requests_to_them(properties: dict[str, Any]) -> None:
    (out,) = properties["TaskSecurityGroup"]["SecurityGroupEgress"]
    assert out == {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}
    (to_tasks,) = properties["LoadBalancerSecurityGroup"]["SecurityGroupEgress"]
    assert (to_tasks["FromPort"], to_tasks["ToPort"]) == (3000, 3000)
    assert to_tasks["DestinationSecurityGroupId"] == {"Ref": "TaskSecurityGroup"}
    assert "SecurityGroupIngress" not in properties["TaskSecurityGroup"]


def test_the_load_balancer_drops_odd_headers_and_lets_requests_end(properties: dict[str, Any]) -> None:
    attributes = {entry["Key"]: entry["Value"] for entry in properties["LoadBalancer"]["LoadBalancerAttributes"]}
    assert attributes == {
        "idle_timeout.timeout_seconds": "60",
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }
    (delay,) = properties["TargetGroup"]["TargetGroupAttributes"]
    assert delay == {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}


def test_tasks_are_scaled_by_cpu(properties: dict[str, Any]) -> None:
    target = properties["ScalableTarget"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == ({"Ref": "MinTasks"}, {"Ref": "MaxTasks"})
    tracking = properties["ScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking == {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
        "TargetValue": 60,
    }


def test_alarms_watch_errors_latency_and_health(template: dict[str, Any]) -> None:
    alarms = [entry["Properties"] for entry in template["Resources"].values() if entry["Type"].endswith("::Alarm")]
    watched = {alarm["MetricName"]: alarm for alarm in alarms}
    assert set(watched) == {
        "HTTPCode_Target_5XX_Count",
        "HTTPCode_ELB_5XX_Count",
        "TargetResponseTime",
        "UnHealthyHostCount",
    }
    assert watched["TargetResponseTime"]["ExtendedStatistic"] == "p99"
    assert watched["TargetResponseTime"]["Threshold"] == {"Ref": "LatencyAlarmSeconds"}
    actions = {"If": ["Notified", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert all(alarm["AlarmActions"] == actions for alarm in alarms)
    # `status` finds the alarms of the stack by this prefix.
    assert all(alarm["AlarmName"]["Sub"].startswith("${AWS::StackName}/") for alarm in alarms)


def test_the_task_may_not_ask_aws_for_anything(properties: dict[str, Any]) -> None:
    assert set(properties["TaskRole"]) == {"Description", "AssumeRolePolicyDocument"}


def test_the_address_of_jobs_comes_by_a_secret_alone(properties: dict[str, Any]) -> None:
    assert properties["JobsSecret"]["SecretString"] == {"Ref": "JobsUrl"}
    assert TEMPLATE.read_text().count("!Ref JobsUrl\n") == 1
    secret = {"Name": "CREDIT_RISK_JOBS", "ValueFrom": {"Ref": "JobsSecret"}}
    (service,) = properties["TaskDefinition"]["ContainerDefinitions"]
    assert service["Secrets"][1] == {"If": ["DeployedJobs", secret, {"Ref": "AWS::NoValue"}]}
    (worker,) = properties["WorkerTaskDefinition"]["ContainerDefinitions"]
    assert worker["Secrets"] == [{"Name": "CREDIT_RISK_API_KEYS", "ValueFrom": {"Ref": "Secret"}}, secret]


def test_the_worker_runs_as_small_and_sealed_as_the_service(properties: dict[str, Any]) -> None:
    task, of_the_service = properties["WorkerTaskDefinition"], properties["TaskDefinition"]
    for same in ("RequiresCompatibilities", "NetworkMode", "RuntimePlatform", "ExecutionRoleArn"):
        assert task[same] == of_the_service[same]
    assert (task["Cpu"], task["Memory"]) == ({"Ref": "WorkerCpu"}, {"Ref": "WorkerMemory"})
    assert task["TaskRoleArn"] == {"GetAtt": "WorkerRole.Arn"}
    (container,), (service,) = task["ContainerDefinitions"], of_the_service["ContainerDefinitions"]
    for same in ("Image", "ReadonlyRootFilesystem", "LinuxParameters", "StopTimeout", "DockerLabels"):
        assert container[same] == service[same]
    assert container["Command"] == ["python", "-m", "credit_risk", "worker"]
    assert "PortMappings" not in container
    worker = properties["WorkerService"]
    assert worker["DesiredCount"] == {"Ref": "WorkerTasks"}
    assert worker["DeploymentConfiguration"] == properties["Service"]["DeploymentConfiguration"]
    assert worker["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"] == [{"Ref": "JobsSecurityGroup"}]


def test_tasks_with_jobs_run_where_the_files_are_mounted_and_start_after_that(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    targets = {"JobsMountTarget1", "JobsMountTarget2"}
    mounted = [resources[target]["Properties"]["SubnetId"] for target in sorted(targets)]
    for name in ("Service", "WorkerService"):
        subnets = resources[name]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]
        assert (subnets["If"][1] if "If" in subnets else subnets) == mounted
    assert targets < set(resources["WorkerService"]["DependsOn"])
    waits_for = json.dumps(resources["Service"]["Properties"]["Tags"])
    assert all(target in waits_for for target in targets)


def test_files_of_jobs_are_encrypted_kept_and_mounted_by_whom_they_concern(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    assert resources["JobsFileSystem"]["DeletionPolicy"] == resources["LogGroup"]["DeletionPolicy"] == "Retain"
    assert resources["JobsFileSystem"]["UpdateReplacePolicy"] == "Retain"
    properties = {name: resource.get("Properties", {}) for name, resource in resources.items()}
    assert properties["JobsFileSystem"]["Encrypted"] is True
    (denied,) = properties["JobsFileSystem"]["FileSystemPolicy"]["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})

    def mounts(task: str) -> dict[str, Any]:
        volumes = [volume["If"][1] if "If" in volume else volume for volume in properties[task]["Volumes"]]
        return {volume["Name"]: volume.get("EFSVolumeConfiguration") for volume in volumes}

    def by(access_point: str) -> dict[str, Any]:
        authorization = {"AccessPointId": {"Ref": access_point}, "IAM": "ENABLED"}
        file_system = {"FilesystemId": {"Ref": "JobsFileSystem"}, "TransitEncryption": "ENABLED"}
        return {**file_system, "AuthorizationConfig": authorization}

    jobs, decisions = by("JobsAccessPoint"), by("DecisionsAccessPoint")
    assert mounts("TaskDefinition") == {"tmp": None, "jobs": jobs}
    assert mounts("WorkerTaskDefinition") == {"tmp": None, "jobs": jobs, "decisions": decisions}
    roles = {"JobsPolicy": ["TaskRole", "WorkerRole"], "DecisionsPolicy": ["WorkerRole"]}
    for policy, access_point in (("JobsPolicy", "JobsAccessPoint"), ("DecisionsPolicy", "DecisionsAccessPoint")):
        assert properties[policy]["Roles"] == [{"Ref": role} for role in roles[policy]]
        (statement,) = properties[policy]["PolicyDocument"]["Statement"]
        assert statement["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        assert statement["Resource"] == {"GetAtt": "JobsFileSystem.Arn"}
        arn = {"GetAtt": f"{access_point}.Arn"}
        assert statement["Condition"] == {"StringEquals": {"elasticfilesystem:AccessPointArn": arn}}
        owner = {"Uid": "1034", "Gid": "1034"}
        assert properties[access_point]["PosixUser"] == owner
        assert f"--uid {owner['Uid']} " in IMAGE.read_text()
        assert properties[access_point]["RootDirectory"]["CreationInfo"]["Permissions"] == "0700"
    assert set(properties["WorkerRole"]) == {"Description", "AssumeRolePolicyDocument"}


def test_files_of_jobs_are_reached_by_tasks_only(properties: dict[str, Any]) -> None:
    files = properties["JobsFilesSecurityGroup"]
    (in_,), (out,) = files["SecurityGroupIngress"], files["SecurityGroupEgress"]
    assert (in_["FromPort"], in_["ToPort"], in_["SourceSecurityGroupId"]) == (2049, 2049, {"Ref": "JobsSecurityGroup"})
    assert out["CidrIp"] == "127.0.0.1/32"
    ports = [entry["ToPort"] for entry in properties["JobsSecurityGroup"]["SecurityGroupEgress"]]
    assert ports == [443, {"Ref": "JobsPort"}]
    assert "SecurityGroupIngress" not in properties["JobsSecurityGroup"]
    assert properties["JobsFilesEgress"]["DestinationSecurityGroupId"] == {"Ref": "JobsFilesSecurityGroup"}
