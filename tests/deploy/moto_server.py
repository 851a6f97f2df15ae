"""`python -m tests.deploy.moto_server -p PORT`: moto's server, with faults of its CloudFormation corrected.

When moto itself updates a stack, it:
- does not support UsePreviousValue for a parameter that has its default;
- does not create resources whose condition has become true;
- changes only resources that refer directly to a changed parameter;
- loses resources that it can't change;
- spells the properties of a changed task definition differently.

When moto itself deletes a stack, it:
- leaves the task definition active, and keeps the service, the cluster and the target group;
- stops at a repository with EmptyOnDelete that has images. (Here all repositories are emptied.)

Always, moto keeps AWS::NoValue in lists, and knows no ARN of a file system and of an access point.

Everything else is as in `moto_server`.
"""

from __future__ import annotations

import sys
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import ResourceMap, get_references_from_template, parse_and_update_resource
from moto.ecr.models import Repository, ecr_backends
from moto.ecs.models import Cluster, Service, TaskDefinition, ecs_backends
from moto.efs.models import AccessPoint, FileSystem
from moto.elbv2.models import FakeTargetGroup, elbv2_backends
from moto.server import main

_clean = parsing.clean_json
_resolve = CloudFormationBackend._resolve_update_parameters


def clean_without_no_value(resource_json: Any, resources_map: Any) -> Any:
    cleaned = _clean(resource_json, resources_map)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


def resolve_with_defaults(backend: Any, instance: Any, incoming_params: list[dict[str, str]]) -> dict[str, str]:
    slots = instance.template_dict["Parameters"]
    defaults = {name: str(slot["Default"]) for name, slot in slots.items() if "Default" in slot}
    instance.parameters = instance.resource_map.input_parameters = defaults | instance.parameters
    return _resolve(backend, instance, incoming_params)


def update(resources: Any, template: dict[str, Any], parameters: dict[str, Any]) -> None:
    existing = {name for name in template["Resources"] if resources._parsed_resources.get(name) is not None}
    changed = {name for name, value in parameters.items() if resources.input_parameters.get(name) != value}
    resources._template, resources._resource_json_map = template, template["Resources"]
    resources.input_parameters = parameters
    resources.load_parameters()
    resources.load_conditions()
    for name, resource in template["Resources"].items():
        if "Condition" in resource and not resources.lazy_condition_map[resource["Condition"]]:
            continue
        if name not in existing:
            _ = resources[name]  # creates it, unless a resource that refers to it has done so
        elif changed.intersection(get_references_from_template(resource)):
            where = {"account_id": resources._account_id, "region_name": resources._region_name}
            new = parse_and_update_resource(name, resource, resources, **where)
            resources._parsed_resources[name] = new or resources._parsed_resources[name]
            changed.add(name)  # so that whatever refers to it changes too


def replace(original_resource: Any, new_resource_name: str, cloudformation_json: Any, **where: Any) -> Any:
    new = TaskDefinition.create_from_cloudformation_json(new_resource_name, cloudformation_json, **where)
    deregister(original_resource)
    return new


def deregister(task_definition: Any, *_where: str) -> None:
    task_definition.status = "INACTIVE"


def empty_and_delete(repository: Any, account_id: str, region_name: str) -> None:
    ecr_backends[account_id][region_name].delete_repository(repository.name, force=True)


def delete_service(service: Any, account_id: str, region_name: str) -> None:
    ecs_backends[account_id][region_name].delete_service(service.cluster_name, service.name, force=True)


def delete_cluster(cluster: Any, account_id: str, region_name: str) -> None:
    backend = ecs_backends[account_id][region_name]
    if any(
        service.cluster_name == cluster.name and service.status == "ACTIVE" for service in backend.services.values()
    ):
        raise ValueError("it has services")  # moto deletes in no particular order, and retries what failed
    del backend.clusters[cluster.name]


def delete_target_group(group: Any, account_id: str, region_name: str) -> None:
    elbv2_backends[account_id][region_name].delete_target_group(group.arn)


if __name__ == "__main__":
    corrected: dict[Any, dict[str, Any]] = {
        CloudFormationBackend: {"_resolve_update_parameters": resolve_with_defaults},
        ResourceMap: {"update": update},
        TaskDefinition: {"update_from_cloudformation_json": replace, "delete": deregister},
        Service: {"delete": delete_service},
        Cluster: {"delete": delete_cluster},
        FakeTargetGroup: {"delete": delete_target_group},
        FileSystem: {"get_cfn_attribute": lambda files, _: files.file_system_arn},
        AccessPoint: {"get_cfn_attribute": lambda access, _: access.access_point_arn},
        Repository: {"delete": empty_and_delete},
    }
    for model, methods in corrected.items():
        for name, method in methods.items():
            setattr(model, name, method)
    parsing.clean_json = clean_without_no_value
    main(sys.argv[1:])
