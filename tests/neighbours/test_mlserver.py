"""The service with a real MLServer behind it."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import CreditApplication
from credit_risk.deciding.served_model import TOLERANCE
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset, load_dataset
from tests.conftest import PROJECT, user_environment
from tests.deciders import decide, decider_of
from tests.e2e.conftest import BENTOML, free_port, serving
from tests.neighbours.mlserver import MLServer, running
from tests.neighbours.mlserver_outage import outage, records_in
from tests.records import decision_lines


def post(url: str, content: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def compare(applications: list[CreditApplication], server: MLServer, model: StoredModel, folder: Path) -> None:
    """Decide through the server and in process, and then with the server off again from the log."""
    decisions = folder / "decisions"
    with serving(CREDIT_RISK_SCORING=server.address, CREDIT_RISK_DECISION_LOG=str(decisions)) as service:
        answers = post(f"{service.url}/classify_batch", [json.loads(each.model_dump_json()) for each in applications])
    expected = decide(decider_of(model), applications)
    records = records_in(decisions)
    assert [record.scored_by for record in records] == [server.address] * len(applications)
    for answer, record, here in zip(answers, records, expected, strict=True):
        assert (answer["Status"], record.status) == (here.status, here.status)
        assert [reason["code"] for reason in answer["reasons"]] == [code for code, _ in here.reasons]
        assert record.probability_of_default == pytest.approx(here.probability, abs=TOLERANCE)
        assert abs(answer["score"] - here.score) <= (answer["Status"] == "APPROVED")


def test_the_decisions_are_those_of_the_model_in_process(
    mlserver: MLServer, model: StoredModel, synthetic: Dataset, tmp_path: Path
) -> None:
    compare(synthetic.applications[:1000], mlserver, model, tmp_path)


def test_a_thousand_real_applications_are_decided_as_in_process(
    mlserver: MLServer, model: StoredModel, real_file: Path, tmp_path: Path
) -> None:
    compare(load_dataset(real_file).applications[:1000], mlserver, model, tmp_path)


def test_replay_needs_no_server(mlserver: MLServer, synthetic: Dataset, tmp_path: Path) -> None:
    decisions = tmp_path / "decisions"
    bodies = [json.loads(each.model_dump_json()) for each in synthetic.applications[:300]]
    with serving(CREDIT_RISK_SCORING=mlserver.address, CREDIT_RISK_DECISION_LOG=str(decisions)) as service:
        post(f"{service.url}/classify_batch", bodies)
        for body in bodies[:20]:
            post(f"{service.url}/classify", body)
        with urllib.request.urlopen(f"{service.url}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
    calls = [line for line in metrics.splitlines() if line.startswith("credit_risk_neighbour_calls_total")]
    by_outcome = {line.split('outcome="')[1].split('"')[0]: float(line.split()[-1]) for line in calls}
    assert by_outcome.pop("ok") >= 21
    assert by_outcome == dict.fromkeys(("retried", "failed", "refused", "fallback"), 0.0)
    assert len(decision_lines(decisions)) == 320
    replayed = subprocess.run(
        ["python", "-m", "credit_risk", "replay", str(decisions)],
        cwd=PROJECT,
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert replayed.stdout == "320 decisions, all identical\n"


@pytest.mark.parametrize("fallback", ["none", "local"])
def test_a_server_that_is_killed_and_comes_back(exported: Path, fallback: str, tmp_path: Path) -> None:
    folder = tmp_path / "mlserver"
    shutil.copytree(exported, folder)
    toll = outage(folder, fallback=fallback, seconds=2)
    assert toll.faults == []
    assert len(toll.statuses) == 1
    address = next(name for name in toll.answers if name != "local")
    assert toll.answers[address] > 100
    assert bool(toll.answers["local"]) == (fallback == "local")
    assert toll.ready_while_away == (fallback == "local")
    assert (toll.unavailable > 0) == (fallback == "none")
    assert f"The model server {address} fails" in toll.log


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start a service that refuses to."""
    return subprocess.run(
        [BENTOML, "serve", "--port", str(free_port())],
        cwd=PROJECT,
        env=user_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_service_refuses_a_server_with_another_model(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mlserver"
    shutil.copytree(exported, folder)
    settings = folder / "credit_risk_model" / "model-settings.json"
    content = json.loads(settings.read_text())
    content["parameters"]["version"] = "another"
    settings.write_text(json.dumps(content))
    with running(folder) as server:
        result = started(CREDIT_RISK_SCORING=server.address)
    assert result.returncode == 1
    assert "CREDIT_RISK_SCORING: the model server at " in result.stderr
    assert "answers with another model or version" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_service_starts_without_the_server_only_if_it_may(trained: str) -> None:  # noqa: ARG001 - a model in the store
    address = f"v2+http://127.0.0.1:{free_port()}/v2/models/credit_risk_model"
    result = started(CREDIT_RISK_SCORING=address)
    assert result.returncode == 1
    assert "set CREDIT_RISK_SCORING_FALLBACK=local" in result.stderr
    with serving(CREDIT_RISK_SCORING=address, CREDIT_RISK_SCORING_FALLBACK="local") as service:
        assert "the model in each worker scores" in service.log.read_text()
