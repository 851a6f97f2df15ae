"""The configuration of Prometheus: what it scrapes, and its alerts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.conftest import CONFIG, RULES, Prometheus, wait_for
from tests.observability.promql import metric_names

RULE_TESTS = RULES.with_name("rules.test.yml")
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
MADE_BY_PROMETHEUS = {"up"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('up{job="x"} == 0', {"up"}),
        ('histogram_quantile(0.99, sum by (le) (rate(a_bucket{route=~"b|c"}[5m]))) > 0.1', {"a_bucket"}),
        ("sum(rate(a[1d] offset 1h)) by (le) / on (x) group_left (y) b and c:d > 1e3", {"a", "b", "c:d"}),
    ],
)
def test_metric_names_are_told_from_the_rest_of_an_expression(expression: str, names: set[str]) -> None:
    assert metric_names(expression) == names


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    "arguments", [("check", "config", CONFIG), ("check", "rules", RULES), ("test", "rules", RULE_TESTS)]
)
def test_promtool_passes(arguments: tuple[str | Path, ...]) -> None:
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_is_tested_to_fire() -> None:
    fired = {
        sample["labels"]
        for case in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for check in case["promql_expr_test"]
        for sample in check["exp_samples"]
    }
    for alert in ALERTS:
        assert any(f'alertname="{alert["alert"]}"' in labels for labels in fired), alert["alert"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description"}


def test_the_service_is_scraped_without_fault(prometheus: Prometheus) -> None:
    (target,) = prometheus.get("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"]["job"] == "credit-risk"


def test_callers_can_not_make_series(prometheus: Prometheus) -> None:
    assert prometheus.query('{endpoint!=""}') != []
    assert prometheus.query('{endpoint!~"|/classify|/classify_batch"}') == []


def test_every_rule_is_loaded_and_evaluates(prometheus: Prometheus) -> None:
    def rules() -> list[Any]:
        return [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]

    wait_for(lambda: all(rule["health"] != "unknown" for rule in rules()), "an evaluation of every rule")
    assert {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in rules()} == {
        alert["alert"]: ("ok", "") for alert in ALERTS
    }


def test_rules_read_metrics_of_the_service(exposed: set[str]) -> None:
    for alert in ALERTS:
        assert metric_names(alert["expr"]) - MADE_BY_PROMETHEUS <= exposed, alert["alert"]
