"""BentoML's configuration: which file, whether it can be read, and what is wrong with it in one sentence."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException

from credit_risk.contract.errors import SettingError
from credit_risk.serving.settings import PROJECT

FILE, OVERRIDES = "BENTOML_CONFIG", "BENTOML_CONFIG_OVERRIDES"
SERVICE = "credit_risk_classifier"
EARLIER = ("runners", "api_server")  # sections that BentoML takes without a word
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def name_the_file() -> None:
    """Make BentoML read the project's bentoconfiguration.yaml, unless the environment names another file."""
    os.environ.setdefault(FILE, str(PROJECT / "bentoconfiguration.yaml"))


def keep_metrics_apart() -> None:
    """Give this server a folder of its own for metrics, which its workers inherit.

    BentoML has one folder for all servers of a BENTOML_HOME, and each server that starts clears it under the others.
    """
    if METRICS_FOLDER not in os.environ:
        folder = tempfile.mkdtemp(prefix="credit-risk-metrics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[METRICS_FOLDER] = folder
    BentoMLContainer.prometheus_multiproc_dir.set(os.environ[METRICS_FOLDER])


def check_configuration() -> None:
    """Raise SettingError if BentoML's file or overrides are not mappings of mappings, which BentoML takes for granted.

    With that ruled out, any other error than BentoML's own comes from within BentoML and is not the user's fault.
    """
    path = os.environ[FILE]
    try:
        _check_sections(path, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingError(f"{FILE} names {path}, which can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{FILE} names {path}, which is not YAML: {' '.join(str(error).split())}") from None
    try:
        _check_sections(OVERRIDES, json.loads(os.environ.get(OVERRIDES) or "{}"))
    except ValueError as error:
        raise SettingError(f"{OVERRIDES} is not JSON: {error}") from None


def check_cors() -> None:
    """Raise SettingError if BentoML is to answer browsers on other origins: it would do so behind access control."""
    if BentoMLContainer.http.cors.enabled.get():
        raise SettingError(
            "invalid configuration of BentoML: http.cors.enabled: must be false; name the origins in "
            "CREDIT_RISK_CORS_ORIGINS instead"
        )


def fault_of(error: BentoMLException) -> SettingError:
    """Restate in one sentence what BentoML finds wrong with a configuration: the path of the key, and the fault."""
    message = str(error)
    path = ".".join(re.findall(r"Key '([^']+)' error:", message))
    reason = message.splitlines()[-1] if path else " ".join(message.split())
    return SettingError(f"invalid configuration of BentoML: {f'{path}: {reason}' if path else reason}")


def _check_sections(where: str, content: Any) -> None:
    content = _mapping(where, "the whole", content)
    for section in EARLIER:
        if section in content:
            raise SettingError(
                f"invalid configuration of BentoML: {where}: {section} is a section of earlier versions, and nothing "
                f"reads it; move its settings to services.{SERVICE}"
            )
    services = _mapping(where, "services", content.get("services", {}))
    if SERVICE in services:  # other keys may be settings of all services, which BentoML checks itself
        _mapping(where, f"services.{SERVICE}", services[SERVICE])


def _mapping(where: str, key: str, content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise SettingError(f"invalid configuration of BentoML: {where}: {key} must be a mapping of keys to values")
    return content
