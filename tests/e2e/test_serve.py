"""Through the door that users use: the commands of the tutorial, clients, and what the server logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import bentoml
import psutil
import pytest
import yaml

from credit_risk.contract.application import EXAMPLE
from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.corpus import BAD, GOOD, SAMPLE
from tests.e2e.conftest import BENTOML, Server, serving, workers_of
from tests.models import another_is_latest, copy_model
from tests.tables import rows_of, vectorizer_of


def post(url: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{url}/classify", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_good_and_bad_bodies_are_answered_and_nothing_of_them_is_logged(server: Server) -> None:
    begun = len(server.log.read_text())
    for body in GOOD.values():
        assert post(server.url, body)[0] == 200
    for bad in BAD.values():
        status, answer = post(server.url, bad.body)
        assert status == 400
        assert bad.fix in answer.decode()
    log = server.log.read_text()[begun:]
    for bad in BAD.values():
        assert bad.secret is None or bad.secret not in log
    assert "Traceback" not in log
    assert server.process.poll() is None
    assert post(server.url, GOOD["nulls"])[0] == 200


def test_both_workers_of_the_configuration_run(server: Server) -> None:
    assert workers_of(server, 2) == 2


def test_bentomls_own_client_works(server: Server, model: StoredModel) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        decision = client.classify(SAMPLE)
        assert decision["Status"] in ("APPROVED", "MAYBE", "DECLINED")
        assert [d["score"] for d in client.classify_batch([SAMPLE, SAMPLE])] == [decision["score"]] * 2
        row = rows_of(vectorizer_of(model), [EXAMPLE])[0]
        assert client.classify_array(row)["score"] == decision["score"]
        assert [d["score"] for d in client.classify_array([row, row])] == [decision["score"]] * 2
        assert [d["score"] for d in client.classify_table([SAMPLE, SAMPLE])] == [decision["score"]] * 2


def test_the_tutorials_way_to_serve() -> None:
    with serving("service:svc") as server:
        assert post(server.url, GOOD["nulls"])[0] == 200
        assert workers_of(server, 2) == 2


def test_a_setting_comes_before_the_configuration_for_the_number_of_workers() -> None:
    with serving(CREDIT_RISK_WORKERS="1") as server:
        assert workers_of(server, 2, seconds=3) == 1


def test_a_container_ends_when_a_worker_does() -> None:
    """BentoML starts a worker anew on a laptop, but in a container leaves that to whoever runs the container."""
    with serving(BENTOML_CONTAINERIZED="true") as server:
        assert workers_of(server, 2) == 2
        psutil.Process(server.process.pid).children()[0].kill()
        assert server.process.wait(20) == 1


def test_a_port_in_use_is_named_with_the_fix(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    command = [BENTOML, "serve", "--port", port]
    second = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"credit_risk: can't listen on 0.0.0.0, port {port}: " in second.stderr
    assert "Traceback" not in second.stderr


def test_another_configuration_policy_and_model_take_effect(tmp_path: Path, model: StoredModel) -> None:
    configuration = yaml.safe_load((PROJECT / "bentoconfiguration.yaml").read_text())
    configuration["services"]["credit_risk_classifier"]["workers"] = 1
    (tmp_path / "bentoconfiguration.yaml").write_text(yaml.safe_dump(configuration))
    policy = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    policy["cutoffs"] = {"decline_above": 0.02, "review_above": 0.01}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    with (
        another_is_latest(model),
        serving(
            BENTOML_CONFIG=str(tmp_path / "bentoconfiguration.yaml"),
            CREDIT_RISK_POLICY=str(tmp_path / "policy.yaml"),
            CREDIT_RISK_MODEL=model.tag,
        ) as server,
    ):
        _, answer = post(server.url, GOOD["the tutorial's sample"])
        assert b'"Status":"DECLINED"' in answer
        assert model.tag in answer.decode()
        assert workers_of(server, 2, seconds=3) == 1


def overridden(**sections: object) -> dict[str, str]:
    return {"BENTOML_CONFIG_OVERRIDES": json.dumps({"services": {"credit_risk_classifier": sections}})}


ANY_ORIGIN = {"enabled": True, "access_control_allow_origins": ["*"]}


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"CREDIT_RISK_MODEL": "credit_risk_model:nowhere"},
            "there is no model credit_risk_model:nowhere in",
        ),
        ({"CREDIT_RISK_MODEL": "No Model"}, "invalid settings: CREDIT_RISK_MODEL"),
        ({"CREDIT_RISK_POLICY": "nowhere.yaml"}, "policy nowhere.yaml can't be read"),
        ({"CREDIT_RISK_REQUIRE_API_KEYS": "true"}, "API keys are required: set CREDIT_RISK_API_KEYS"),
        ({"CREDIT_RISK_WORKERS": "0"}, "invalid settings: CREDIT_RISK_WORKERS"),
        ({"CREDIT_RISK_FAST_PATH": "perhaps"}, "invalid settings: CREDIT_RISK_FAST_PATH"),
        (
            overridden(batching={"max_batch_size": 0}),
            "invalid configuration of BentoML: services.credit_risk_classifier.batching.max",
        ),
        (overridden(batching={"max_queue_size": 0}), "invalid configuration of BentoML: batching.max_queue_size: "),
        (
            overridden(http={"cors": ANY_ORIGIN}),
            "invalid configuration of BentoML: http.cors.enabled: must be false; name",
        ),
        ({"CREDIT_RISK_CORS_ORIGINS": '["*"]'}, "invalid settings: CREDIT_RISK_CORS_ORIGINS: must be a JSON list of"),
    ],
)
def test_it_refuses_to_start_wrong(environment: dict[str, str], sentence: str) -> None:
    assert_it_refuses_to_start(environment, sentence)


def assert_it_refuses_to_start(environment: dict[str, str], sentence: str) -> None:
    result = subprocess.run(
        [BENTOML, "serve"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert f"credit_risk: {sentence}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()[-1].split(". ")) == 1


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda folder: shutil.rmtree(folder / "report"),
            "is not what was saved: report/model-card.html (the model card)",
        ),
        (lambda folder: (folder / "model.yaml").unlink(), "can't be read from the BentoML model store: "),
    ],
)
def test_it_refuses_to_start_with_a_model_that_is_not_what_was_saved(
    model: StoredModel, damage: Callable[[Path], None], sentence: str
) -> None:
    """tests/model/test_store.py has the other kinds of damage."""
    folder = copy_model(model, "damaged_model")
    damage(folder)
    assert_it_refuses_to_start({"CREDIT_RISK_MODEL": "damaged_model:copy"}, f"model damaged_model:copy {sentence}")
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("path", "kind"), [("/model-card", "text/html; charset=utf-8"), ("/model-card.json", "application/json")]
)
def test_the_model_card_is_the_one_of_the_model_that_is_served(server: Server, path: str, kind: str) -> None:
    with urllib.request.urlopen(f"{server.url}{path}") as answer:
        assert answer.headers["Content-Type"] == kind
        page = answer.read().decode()
    metadata = bentoml.models.get("credit_risk_model:latest").info.metadata
    assert metadata["booster_sha256"] in page
    assert metadata["data_sha256"] in page
