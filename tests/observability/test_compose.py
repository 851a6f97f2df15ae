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

OF_THE_IMAGE = ("credit-risk", "worker")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
def test_a_service_has_no_privileges_and_is_started_again(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


@each_service
def test_a_service_is_reached_from_this_machine_only(service: dict[str, Any]) -> None:
    assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []


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


@pytest.mark.parametrize("name", OF_THE_IMAGE)
def test_only_settings_that_exist_are_passed_to_the_service(name: str) -> None:
    known = {f"CREDIT_RISK_{name.upper()}" for name in Settings.model_fields}
    assert {variable.partition("=")[0] for variable in SERVICES[name]["environment"]} <= known


@pytest.mark.parametrize(("name", "memory"), [("credit-risk", "512m"), ("worker", "1g")])
def test_the_service_can_write_to_tmp_and_volumes_alone_and_has_time_to_end(name: str, memory: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["stop_grace_period"] == "30s"
    assert service["mem_limit"] == memory


def test_the_worker_runs_the_jobs_that_the_service_takes() -> None:
    service, worker = SERVICES["credit-risk"], SERVICES["worker"]
    assert worker["image"] == service["image"]
    assert worker["command"][:4] == ["python", "-m", "credit_risk", "worker"]
    of_jobs = [setting for setting in service["environment"] if "_JOBS" in setting or "_WEBHOOK" in setting]
    assert len(of_jobs) == 5
    assert set(of_jobs) < set(worker["environment"])
    assert service["volumes"] == ["jobs:/home/bentoml/jobs"]
    assert service["volumes"][0] in worker["volumes"]
    assert worker["depends_on"]["features"] == {"condition": "service_healthy", "required": False}
    assert "profiles" not in worker
    assert worker["healthcheck"] == {"disable": True}


def test_the_folders_of_volumes_belong_to_the_user_of_the_image() -> None:
    """A volume takes over the owner of the folder that the image has in its place."""
    made = next(line for line in (DEPLOY / "final-stage.Dockerfile").read_text().split("\nRUN ") if "useradd" in line)
    for name in OF_THE_IMAGE:
        for volume in SERVICES[name]["volumes"]:
            assert volume.partition(":")[2] in made.split()


def test_redis_keeps_jobs_that_it_was_told() -> None:
    command = SERVICES["features"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"


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
