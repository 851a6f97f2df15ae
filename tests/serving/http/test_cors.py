"""Pages of other origins, in front of access control."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from credit_risk.serving.http.access import Access
from credit_risk.serving.http.cors import EXPOSED, CrossOrigin
from credit_risk.serving.keys import Key
from tests.serving.http.unused import unused_limits

ORIGIN, OTHER = "https://example.com", "https://elsewhere.com"
KEYS = {"bank": Key(sha256=sha256(b"token").hexdigest())}
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-request-id",
}


@pytest.fixture
def client() -> TestClient:
    answer = JSONResponse({}, headers={"x-request-id": "abc"})
    return TestClient(
        CrossOrigin(Access(answer, lambda: KEYS, unused_limits(), open_metrics=False, largest_job=2**20), (ORIGIN,))
    )


def test_a_preflight_needs_no_key(client: TestClient) -> None:
    answer = client.options("/classify", headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-request-id"} <= allowed
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("key", "status"), [("token", 200), ("wrong", 401)])
def test_a_page_may_read_answers_and_errors(client: TestClient, key: str, status: int) -> None:
    answer = client.post("/classify", headers={"origin": ORIGIN, "authorization": f"Bearer {key}"})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == ", ".join(EXPOSED)
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "change",
    [
        {"origin": OTHER},
        {"origin": "null"},
        {"access-control-request-method": "DELETE"},
        {"access-control-request-headers": "x-anything"},
    ],
)
def test_a_refused_preflight_says_why_in_the_body_of_every_error(client: TestClient, change: dict[str, str]) -> None:
    answer = client.options("/classify", headers=PREFLIGHT | change)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    body = json.loads(answer.content)
    assert body["error"].startswith("Disallowed CORS ")
    assert body["detail"] == []
    if "origin" in change:
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_another_origin_may_read_nothing(client: TestClient) -> None:
    answer = client.post("/classify", headers={"origin": OTHER, "authorization": "Bearer token"})
    assert "access-control-allow-origin" not in answer.headers


def test_callers_that_are_no_browsers_are_not_told(client: TestClient) -> None:
    answer = client.post("/classify", headers={"authorization": "Bearer token"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
