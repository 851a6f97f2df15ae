from __future__ import annotations

import json
import uuid

import bentoml
import pytest
import xgboost as xgb
from hypothesis import given
from starlette.testclient import TestClient

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.policy import load_policy
from credit_risk.deciding.decider import Decider
from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.corpus import BAD, GOOD, SAMPLE, Bad
from tests.model.test_features import APPLICATIONS


@pytest.mark.parametrize("name", GOOD)
def test_a_good_application_is_decided(client: TestClient, model: StoredModel, name: str) -> None:
    response = client.post("/classify", content=GOOD[name])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    decision = response.json()
    assert list(decision) == [
        *("Status", "probability_of_default", "score", "reasons", "warnings", "decision_id", "model", "policy")
    ]
    assert bool(decision["reasons"]) == (decision["Status"] != "APPROVED")
    assert decision["Status"] in ("APPROVED", "MAYBE", "DECLINED")
    assert decision["model"] == model.tag
    assert decision["policy"] == load_policy(PROJECT / "policy.yaml").version
    assert uuid.UUID(decision["decision_id"]).version == 7


@pytest.fixture(scope="module")
def booster(model: StoredModel) -> xgb.Booster:
    """The booster as BentoML gives it to anybody."""
    booster: xgb.Booster = bentoml.xgboost.load_model(model.tag)
    return booster


@given(application=APPLICATIONS)
def test_the_answer_is_that_of_the_model_and_the_policy(
    client: TestClient, model: StoredModel, booster: xgb.Booster, application: CreditApplication
) -> None:
    decision = client.post("/classify", content=application.model_dump_json()).json()
    encoder = model.encoder
    matrix = encoder.matrix([encoder.encode(application)])
    [probability] = booster.inplace_predict(matrix)
    assert decision["probability_of_default"] == pytest.approx(probability, abs=6e-5)
    for cutoff in (0.3, 0.5):  # away from the cutoffs the rounded probability tells the status
        if abs(probability - cutoff) < 1e-4:
            return
    status = "DECLINED" if probability > 0.5 else "MAYBE" if probability > 0.3 else "APPROVED"
    assert decision["Status"] == status


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_body_is_refused_unscored_and_unlogged(
    client: TestClient, logged: pytest.LogCaptureFixture, scored_rows: list[int], bad: Bad
) -> None:
    response = client.post("/classify", content=bad.body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "detail"}
    assert any(
        detail["loc"] == ([] if bad.field is None else [bad.field]) and bad.fix in detail["msg"]
        for detail in body["detail"]
    )
    assert scored_rows == []
    assert bad.secret is None or bad.secret not in response.text + logged.text


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_json_is_read_whatever_its_content_type_says(client: TestClient, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert client.post("/classify", content=json.dumps(SAMPLE), headers=headers).status_code == 200


def test_a_batch_is_decided_in_order(client: TestClient) -> None:
    bodies = list(GOOD.values())
    one_by_one = [client.post("/classify", content=body).json() for body in bodies]
    together = client.post("/classify_batch", content=b"[" + b",".join(bodies) + b"]")
    assert together.status_code == 200
    for alone, member in zip(one_by_one, together.json(), strict=True):
        assert alone.pop("decision_id") != member.pop("decision_id")
        assert alone == member


def test_equal_applications_are_scored_once(client: TestClient, scored_rows: list[int]) -> None:
    other = {**SAMPLE, "income": 250.0}
    decisions = client.post("/classify_batch", json=[SAMPLE, other, SAMPLE, SAMPLE]).json()
    assert scored_rows == [2]
    assert decisions[0]["score"] == decisions[2]["score"] == decisions[3]["score"] != decisions[1]["score"]
    assert len({decision["decision_id"] for decision in decisions}) == 4


def test_an_empty_batch_is_answered(client: TestClient) -> None:
    response = client.post("/classify_batch", json=[])
    assert (response.status_code, response.json()) == (200, [])


def test_one_bad_application_refuses_the_batch(client: TestClient, scored_rows: list[int]) -> None:
    response = client.post("/classify_batch", json=[SAMPLE, {**SAMPLE, "income": "31417"}])
    assert response.status_code == 400
    assert response.json()["detail"][0]["loc"] == [1, "income"]
    assert "31417" not in response.text
    assert scored_rows == []


def test_a_failure_is_answered_without_its_message(
    client: TestClient, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Decider, applications: object, *__: object) -> None:
        raise RuntimeError(f"could not score {applications}")

    monkeypatch.setattr(Decider, "decide", fail)
    request_id = {"x-request-id": "abc-123"}
    response = client.post("/classify", json={**SAMPLE, "income": 31417.0}, headers=request_id)
    assert response.status_code == 500
    assert response.json() == {"error": "The service failed; the request was not decided", "detail": []}
    assert "RuntimeError while answering a request" in logged.text
    assert "in fail" in logged.text
    assert "31417" not in logged.text
    assert {getattr(record, "request_id", None) for record in logged.records} == {"abc-123"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/classify", 405),
        ("PUT", "/classify_batch", 405),
        ("POST", "/readyz", 405),
    ],
)
def test_what_bentoml_refuses_has_the_same_body(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error", "detail"}
    assert int(response.headers["content-length"]) == len(response.content)


def test_a_pickle_is_refused_with_the_same_body(client: TestClient) -> None:
    response = client.post("/classify", content=b"x", headers={"content-type": "application/vnd.bentoml+pickle"})
    assert response.status_code == 415
    assert response.json() == {
        "error": "Send JSON, as application/json",
        "detail": [],
    }


def test_a_head_request_has_no_body(client: TestClient) -> None:
    response = client.head("/nowhere")
    assert (response.status_code, response.content) == (404, b"")


def test_health_is_open(client: TestClient) -> None:
    assert [client.get(path).status_code for path in ("/livez", "/readyz", "/metrics", "/")] == [200] * 4
