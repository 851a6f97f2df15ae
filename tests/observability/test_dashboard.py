"""Grafana's dashboard, without Grafana.

The tests send the panels' queries to Prometheus and check the answers. They can't show that Grafana reads the
provisioning files, or that it draws the panels as intended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.observability.conftest import CONFIG, DEPLOY, Prometheus
from tests.observability.promql import metric_names

GRAFANA = DEPLOY / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "credit-risk.json").read_text())
DATA_SOURCES = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
MADE_BY_PROMETHEUS = {"up", "ALERTS"}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    settings = panel["options"]["yAxis"] if panel["type"] == "heatmap" else panel["fieldConfig"]["defaults"]
    assert settings["unit"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@each_panel
def test_a_panel_asks_the_provisioned_data_source(panel: dict[str, Any]) -> None:
    (source,) = DATA_SOURCES
    assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_grafana_knows_the_scrape_interval() -> None:
    interval = yaml.safe_load(CONFIG.read_text())["global"]["scrape_interval"]
    assert DATA_SOURCES[0]["jsonData"]["timeInterval"] == interval


@each_panel
def test_a_panel_reads_metrics_of_the_service(panel: dict[str, Any], exposed: set[str]) -> None:
    for target in panel["targets"]:
        assert metric_names(target["expr"]) - MADE_BY_PROMETHEUS <= exposed


def queried(panel: dict[str, Any], prometheus: Prometheus) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield the targets of a panel, each with the series that Grafana would get for it."""
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "1h").replace("$__range", "1h")
        yield target, prometheus.query(expression)


@each_panel
def test_prometheus_answers_a_panel_with_numbers(panel: dict[str, Any], prometheus: Prometheus) -> None:
    for target, series in queried(panel, prometheus):
        assert series, target["expr"]
        assert all(math.isfinite(float(one["value"][1])) for one in series), target["expr"]


@each_panel
def test_series_of_a_panel_have_names_of_their_own(panel: dict[str, Any], prometheus: Prometheus) -> None:
    names: list[str] = []
    for target, series in queried(panel, prometheus):
        for one in series:
            name = target["legendFormat"]
            for label, value in one["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            names.append(name)
    assert len(set(names)) == len(names)
    assert not [name for name in names if "{{" in name]
