"""API keys and body limits on the real server, on the fast path as elsewhere."""

from __future__ import annotations

import json
from hashlib import sha256

import httpx2
import pytest

from tests.corpus import SAMPLE
from tests.e2e.conftest import serving

SAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
KEYS = json.dumps({"bank": sha256(b"token-1").hexdigest()})


def test_keys_and_limits_hold_on_every_way_in() -> None:
    with (
        serving(CREDIT_RISK_API_KEYS=KEYS, CREDIT_RISK_OPEN_METRICS="false") as server,
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


@pytest.mark.usefixtures("trained")
def test_without_keys_it_says_so_once() -> None:
    with serving() as server:
        assert server.log.read_text().count("No API keys are set") == 1
