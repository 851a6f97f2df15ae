"""The content of compose.yaml. Nothing is started, so neither the images nor Compose are needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from credit_risk.serving.settings import Settings
from tests.observability.conftest import DEPLOY

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
def test_a_service_has_no_privileges_and_is_started_again(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


@each_service
def test_a_service_is_reached_from_this_machine_only(service: dict[str, Any]) -> None:
    assert [port for port in service["ports"] if not port.startswith("127.0.0.1:")] == []


@each_service
def test_mounted_files_are_here_and_read_only(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("${"):  # named by who starts it
            assert volume.endswith(":ro")
        elif source.startswith("./"):
            assert (DEPLOY / source).exists()
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_foreign_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"docker\.io/\w+/\w+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_only_settings_that_exist_are_passed_to_the_service() -> None:
    known = {f"CREDIT_RISK_{name.upper()}" for name in Settings.model_fields}
    assert {variable.partition("=")[0] for variable in SERVICES["credit-risk"]["environment"]} <= known


def test_the_service_can_write_to_tmp_alone_and_has_time_to_end() -> None:
    service = SERVICES["credit-risk"]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["stop_grace_period"] == "30s"
    assert service["mem_limit"] == "512m"


def test_the_model_server_is_there_only_if_it_is_asked_for() -> None:
    server = SERVICES["model-server"]
    assert server["profiles"] == ["model-server"]
    assert SERVICES["credit-risk"]["depends_on"]["model-server"] == {"condition": "service_healthy", "required": False}
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    assert server["volumes"][0].split(":")[-2] == "/models"


def test_the_feature_store_is_there_only_if_it_is_asked_for() -> None:
    assert SERVICES["features"]["profiles"] == ["features"]
    assert SERVICES["credit-risk"]["depends_on"]["features"] == {"condition": "service_healthy", "required": False}
    assert "CREDIT_RISK_FEATURES" in SERVICES["credit-risk"]["environment"]


def test_prometheus_and_grafana_find_each_other_by_name() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    host, _, port = scraped["static_configs"][0]["targets"][0].partition(":")
    assert SERVICES[host]["ports"][0].endswith(f":{port}")
    source = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
