"""What the CloudFormation template asks for and creates, read without AWS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).with_name("template.yaml")
# A resource under one of these conditions is created if the parameter has a value.
PARAMETER_OF = {"DeployedEncrypted": "CertificateArn", "DeployedNotified": "AlarmEmail", "DeployedJobs": "JobsUrl"}


class _Loader(yaml.SafeLoader):
    """Ignores what the template computes, such as `!Ref Vpc`."""


_Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)


def parameter_names() -> list[str]:
    """List the parameters of the template."""
    return list(_load()["Parameters"])


def resources_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the type of each resource, by its name, that a first deployment with these parameters creates."""
    return {
        name: resource["Type"].removeprefix("AWS::")
        for name, resource in _load()["Resources"].items()
        if (needed := PARAMETER_OF.get(resource.get("Condition", ""))) is None or parameters.get(needed)
    }


def _load() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader=_Loader)
    return loaded
