"""What the service's processes write, and where."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request

import pytest

from credit_risk.contract.record import DecisionRecord
from tests.conftest import PROJECT
from tests.corpus import GOOD
from tests.e2e.conftest import BENTOML, serving, workers_of


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_log_stands_apart_from_decisions(log_format: str) -> None:
    with serving(CREDIT_RISK_DECISION_LOG="stdout", CREDIT_RISK_LOG_FORMAT=log_format) as server:
        assert workers_of(server, 2) == 2
        with urllib.request.urlopen(f"{server.url}/classify", GOOD["nulls"], timeout=10) as answer:
            decision = json.load(answer)
    *_, record = server.stdout.read_text().splitlines()
    assert DecisionRecord.model_validate_json(record).decision_id == decision["decision_id"]
    lines = server.log.read_text().splitlines()
    if log_format == "text":
        assert all(" [INFO] " in line or " [WARNING] " in line for line in lines)
    else:
        logged = [json.loads(line) for line in lines]
        assert {"bentoml.serve", "bentoml.credit_risk"} <= {line["logger"] for line in logged}
        assert sum(line["message"] == "Service credit_risk_classifier initialized" for line in logged) == 2


def test_a_refusal_to_start_is_an_object_too() -> None:
    environment = os.environ | {"CREDIT_RISK_LOG_FORMAT": "json", "CREDIT_RISK_WORKERS": "0"}
    command = [BENTOML, "serve"]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    last = [json.loads(line) for line in ended.stderr.splitlines()][-1]
    assert last["message"].startswith("invalid settings: CREDIT_RISK_WORKERS")
