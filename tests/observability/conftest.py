"""A real Prometheus that scrapes a real `bentoml serve`, after some requests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import PROJECT
from tests.corpus import BAD, GOOD, SAMPLE
from tests.e2e.conftest import free_port, serving

ASKED = 'sum(credit_risk_requests_total{route=~"/classify.*"})'
DEPLOY = PROJECT / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
RULES = DEPLOY / "prometheus" / "rules.yml"
TOOLS = ("prometheus", "promtool")
BODIES = [
    *(("/classify", body) for body in GOOD.values()),
    *(("/classify", bad.body) for bad in BAD.values()),
    *(("/classify_batch", json.dumps([SAMPLE] * rows).encode()) for rows in (1, 10, 100)),
]


class Prometheus(NamedTuple):
    url: str
    service_url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data from an endpoint of the API."""
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[Any]:
        """Return the current series of an expression."""
        data = self.get("/api/v1/query", query=expression)
        assert data["resultType"] == "vector", expression
        series: list[Any] = data["result"]
        return series

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that has one series, or None if it has none yet."""
        values = [float(series["value"][1]) for series in self.query(expression)]
        assert len(values) <= 1, expression
        return values[0] if values else None


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def tools() -> None:
    """Skip tests if Prometheus is not installed, or fail them if REQUIRE_CONTAINER_TOOLS=1 demands it."""
    missing = " and ".join(tool for tool in TOOLS if shutil.which(tool) is None)
    if missing and os.environ.get("REQUIRE_CONTAINER_TOOLS") == "1":
        pytest.fail(f"REQUIRE_CONTAINER_TOOLS is set, but {missing} can't be found")
    if missing:
        pytest.skip(f"{missing} can't be found; apt-get install prometheus brings both")


@pytest.fixture(scope="session")
def prometheus(tools: None, trained: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:  # noqa: ARG001
    """A Prometheus that has scraped the service before and after `BODIES`, so that all rates have a value."""
    with (
        serving("--production") as service,
        scraping(service.url, tmp_path_factory.mktemp("prometheus")) as prometheus,
    ):
        wait_for(lambda: prometheus.value(ASKED) == 0, "a scrape before the requests")
        for route, body in BODIES:
            post(f"{service.url}{route}", body)
        post(f"{service.url}/a-path-that-only-this-caller-knows", b"{}")
        wait_for(lambda: prometheus.value(ASKED) == len(BODIES), "a scrape after the requests")
        yield prometheus


@pytest.fixture(scope="session")
def exposed(prometheus: Prometheus) -> set[str]:
    """The names of the series on the service's /metrics."""
    with urllib.request.urlopen(f"{prometheus.service_url}/metrics", timeout=10) as response:
        families = text_string_to_metric_families(response.read().decode())
        return {sample.name for family in families for sample in family.samples}


@contextmanager
def scraping(service_url: str, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with the project's configuration, but with the service's address and shorter intervals."""
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [service_url.removeprefix("http://")]
    (folder / CONFIG.name).write_text(yaml.safe_dump(config))
    shutil.copy(RULES, folder)
    prometheus = Prometheus(f"http://127.0.0.1:{free_port()}", service_url)
    log = folder / "log"
    command = [
        "prometheus",
        f"--config.file={folder / CONFIG.name}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={prometheus.url.removeprefix('http://')}",
    ]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            wait_for(lambda: process.poll() is not None or _is_ready(prometheus), "the start of Prometheus")
            assert process.poll() is None, log.read_text()
            yield prometheus
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_ready(prometheus: Prometheus) -> bool:
    try:
        with urllib.request.urlopen(f"{prometheus.url}/-/ready", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def post(url: str, body: bytes) -> None:
    """Send a request, and ignore its answer."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()
    except urllib.error.HTTPError as error:
        error.read()
