from __future__ import annotations

import contextlib
import re
import time
import urllib.error
import urllib.request

import bentoml

import credit_risk
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.policy import load_policy
from tests.conftest import PROJECT
from tests.e2e.conftest import Server, workers_of

SUFFIX = {"counter": "_total", "gauge": "", "histogram": ""}

ONLY_WITH_A_MODEL_SERVER = {"credit_risk_neighbour_calls_total"}  # tests/neighbours/test_mlserver.py reads it


def test_every_metric_is_documented_and_no_other(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        families = re.findall(r"^# TYPE (credit_risk_\w+?)(?:_total)? (\w+)$", answer.read().decode(), re.MULTILINE)
    served = {name + SUFFIX[kind] for name, kind in families if not name.endswith("_created")}
    documented = re.findall(r"^\| `(credit_risk_\w+)` \|", (PROJECT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert set(documented) == served | ONLY_WITH_A_MODEL_SERVER


def test_jobs_are_shown_without_their_ids(server: Server) -> None:
    request = urllib.request.Request(f"{server.url}/jobs", b"[{}]", {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        job = answer.headers["location"]
    for path in ("", "/events-of-which-there-are-none"):
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}{job}{path}", timeout=10).close()
    asked = {("/jobs", "202"), ("/jobs/{id}", "200"), ("/jobs/{id}", "404")}
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        counted = set(
            re.findall(r'^credit_risk_requests_total\{route="(/jobs.*)",status="(\d+)"\}', metrics, re.MULTILINE)
        )
        [queued] = re.findall(r'^credit_risk_jobs\{state="queued"\} (\S+)', metrics, re.MULTILINE)
        if (counted >= asked and float(queued) >= 1) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert counted >= asked
    assert {route for route, _ in counted} == {"/jobs", "/jobs/{id}"}
    assert float(queued) >= 1
    for _ in ("cancel", "forget"):
        urllib.request.urlopen(urllib.request.Request(f"{server.url}{job}", method="DELETE"), timeout=10).close()


def test_the_limit_of_the_queue_is_that_of_all_workers(server: Server) -> None:
    assert workers_of(server, 2) == 2
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        assert "credit_risk_queue_limit 4000.0" in answer.read().decode()


def test_both_workers_tell_as_one_what_is_in_use(server: Server) -> None:
    assert workers_of(server, 2) == 2
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        [series] = re.findall(r"^credit_risk_in_use_since_seconds\{(.*)\} \S+$", answer.read().decode(), re.MULTILINE)
    assert dict(re.findall(r'(\w+)="([^"]*)"', series)) == {
        "model": str(bentoml.models.get("credit_risk_model:latest").tag),
        "policy": load_policy(PROJECT / "policy.yaml").version,
        "catalogue": load_catalogue(PROJECT / "reasons.yaml").version,
        "version": credit_risk.__version__,
    }
