"""API keys and body limits on the real server, on the fast path as elsewhere."""

from __future__ import annotations

import json
import time
from hashlib import sha256

import httpx2

from tests.corpus import SAMPLE
from tests.e2e.callers import posted_anew
from tests.e2e.conftest import Server, serving, workers_of
from tests.e2e.test_batching import all_of

SAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
KEYS = json.dumps({"bank": sha256(b"token-1").hexdigest()})


def test_keys_and_limits_hold_on_every_way_in() -> None:
    with (
        serving(CREDIT_RISK_API_KEYS=KEYS, CREDIT_RISK_OPEN_METRICS="false", CREDIT_RISK_WORKERS="1") as server,
        httpx2.Client(base_url=server.url) as client,
    ):
        bearer = {"authorization": "Bearer token-1"}
        for way in ({}, SAMPLED):
            assert client.post("/classify", json=SAMPLE, headers=way).status_code == 401
            assert client.post("/classify", json=SAMPLE, headers=bearer | way).status_code == 200
            large = client.post("/classify", content=b" " * 65_537, headers=bearer | way)
            assert large.status_code == 413
            assert set(large.json()) == {"error", "detail"}
            chunked = client.post("/classify", content=iter([json.dumps(SAMPLE).encode()]), headers=bearer | way)
            assert chunked.status_code == 200
            endless = client.post("/classify", content=iter([b" " * 1000] * 66), headers=bearer | way)
            assert endless.status_code == 413
        assert client.post("/classify_batch", json=[SAMPLE], headers=bearer).status_code == 200
        assert client.post("/classify_batch", content=b" " * 10_485_761, headers=bearer).status_code == 413
        opened = {path: client.get(path).status_code for path in ("/livez", "/readyz", "/metrics", "/docs.json")}
        assert opened == {"/livez": 200, "/readyz": 200, "/metrics": 401, "/docs.json": 401}
        log = server.log.read_text()
        assert "API keys are required; known: bank" in log
        assert "token-1" not in log


def test_without_keys_it_says_so_once(server: Server) -> None:
    assert workers_of(server, 2) == 2
    assert server.log.read_text().count("No API keys are set") == 1


def test_limits_hold_over_both_workers_and_failed_keys_are_seen() -> None:
    key = {"sha256": sha256(b"token-1").hexdigest(), "requests_per_second": 5}
    bearer = {"authorization": "Bearer token-1", "connection": "close"}
    with serving(CREDIT_RISK_API_KEYS=json.dumps({"bank": key})) as server:
        assert workers_of(server, 2) == 2
        begun = time.monotonic()
        answers = [httpx2.post(f"{server.url}/classify", json=SAMPLE, headers=bearer) for _ in range(40)]
        seconds = time.monotonic() - begun
        decided = [answer for answer in answers if answer.status_code == 200]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert len(decided) + len(limited) == 40
        assert 5 <= len(decided) <= 5 * (seconds + 1)
        assert {answer.headers["retry-after"] for answer in limited} == {"1"}
        assert limited[0].json() == {"error": "Send at most 5 requests a second", "detail": []}
        assert decided[0].headers["ratelimit-policy"] == '"requests";q=5;w=1'
        assert decided[0].headers["ratelimit"] == '"requests";r=4;t=1'
        guess = {"authorization": "Bearer a-guess"}
        assert httpx2.post(f"{server.url}/classify", json=SAMPLE, headers=guess).status_code == 401
        assert all_of(server, "credit_risk_requests_total", 'route="/classify",status="401"') == 1
        assert all_of(server, "credit_risk_requests_total", 'route="/classify",status="429"') == len(limited)
        guesses = posted_anew(server.url, 120, **guess)  # those who guess are slowed down, which is no overload
        assert {status for status, _ in guesses} == {401}
        log = server.log.read_text()
        assert "Requests without a valid API key from 127.0.0.1: 1" in log
        assert "a-guess" not in log
