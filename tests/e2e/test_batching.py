"""Batching, shedding and metrics of the real server under concurrent callers, and HTTP as clients really speak it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from credit_risk.contract.application import CreditApplication
from credit_risk.model.store import StoredModel
from credit_risk.serving.metrics import FLUSH_SECONDS
from credit_risk.training.data import Dataset
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving, workers_of

WAVE = 200  # requests at once
DECIDING = ("credit_risk_requests_total", 'route="/classify')  # those that ask for decisions


def overridden(**batching: Any) -> str:
    """BENTOML_CONFIG_OVERRIDES: one worker with these batching settings on top of bentoconfiguration.yaml."""
    return json.dumps({"services": {"credit_risk_classifier": {"workers": 1, "batching": batching}}})


def scrape(server: Server) -> str:
    """What Prometheus gets, once the workers have handed over what they had added up."""
    time.sleep(10 * FLUSH_SECONDS)
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as response:
        text: str = response.read().decode()
    return text


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels, as Prometheus would scrape it."""
    text = scrape(server)
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} ([\d.e+-]+)$", text, re.MULTILINE))


def all_of(server: Server, name: str, labels: str = "") -> float:
    """The sum of a metric over its labels, of which the first may have to begin in a certain way."""
    found = re.findall(rf"^{name}(?:{{{labels}[^}}]*}})? ([\d.e+-]+)$", scrape(server), re.MULTILINE)
    return sum(map(float, found))


async def wave(server: Server, applications: list[CreditApplication]) -> list[httpx2.Response]:
    limits = httpx2.Limits(max_connections=WAVE, max_keepalive_connections=WAVE)
    async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=30) as client:
        await asyncio.gather(*[client.get("/livez") for _ in range(WAVE)])  # connect first, so that they come together
        requests = [client.post("/classify", content=application.model_dump_json()) for application in applications]
        return await asyncio.gather(*requests)


def test_under_concurrent_load_everyone_gets_their_own_answer_and_batches_form(
    server: Server, model: StoredModel, synthetic: Dataset
) -> None:
    assert workers_of(server, 2) == 2
    applications = synthetic.applications[:WAVE]
    encoder = model.encoder
    expected = model.scorer.margins(encoder.matrix([encoder.encode(application) for application in applications]))
    before = {name: all_of(server, name) for name in ("credit_risk_batch_rows_count", "credit_risk_batch_rows_sum")}
    for _ in range(5):
        answers = asyncio.run(wave(server, applications))
        assert {answer.status_code for answer in answers} == {200}
        points = [answer.json()["score"] for answer in answers]
        assert points == [round(600 - 20 / 0.6931471805599453 * (3.912023005428146 + float(m))) for m in expected]
        assert len({answer.json()["decision_id"] for answer in answers}) == WAVE
    batches = all_of(server, "credit_risk_batch_rows_count") - before["credit_risk_batch_rows_count"]
    rows = all_of(server, "credit_risk_batch_rows_sum") - before["credit_risk_batch_rows_sum"]
    assert rows == 5 * WAVE
    assert rows / batches > 1


def test_one_after_another_are_batches_of_one(server: Server) -> None:
    before = all_of(server, "credit_risk_batch_rows_count"), all_of(server, "credit_risk_batch_rows_sum")
    with httpx2.Client(base_url=server.url) as client:
        for _ in range(20):
            assert client.post("/classify", json=SAMPLE).status_code == 200
    after = all_of(server, "credit_risk_batch_rows_count"), all_of(server, "credit_risk_batch_rows_sum")
    assert (after[0] - before[0], after[1] - before[1]) == (20, 20)


def largest_batch(server: Server) -> float:
    """The smallest bucket that holds every batch."""
    text = scrape(server)
    buckets = re.findall(r'^credit_risk_batch_rows_bucket{le="([\d.+Inf]+)"} ([\d.]+)$', text, re.MULTILINE)
    every = max(float(count) for _, count in buckets)
    return min(float(bound) for bound, count in buckets if float(count) == every)


@pytest.mark.parametrize(
    ("batching", "holds"),
    [({"enabled": False}, lambda rows: rows == 1), ({"max_batch_size": 2}, lambda rows: rows == 2)],
    ids=["enabled", "max_batch_size"],
)
def test_the_size_settings_take_effect(
    batching: dict[str, Any], holds: Callable[[float], bool], synthetic: Dataset
) -> None:
    patient = overridden(max_latency_ms=60_000, **batching)
    with serving(BENTOML_CONFIG_OVERRIDES=patient) as server:
        answers = asyncio.run(wave(server, synthetic.applications[:WAVE]))
        assert {answer.status_code for answer in answers} == {200}
        assert holds(largest_batch(server))


@pytest.mark.parametrize(
    ("batching", "reason"),
    [
        ({"max_queue_size": 1}, "as many requests as it can answer in time"),
        ({"enabled": False, "max_latency_ms": 1}, "waited too long"),  # one by one, so that they wait
    ],
    ids=["max_queue_size", "max_latency_ms"],
)
def test_the_shedding_settings_take_effect(batching: dict[str, Any], reason: str, synthetic: Dataset) -> None:
    with serving(BENTOML_CONFIG_OVERRIDES=overridden(**batching)) as server:
        shed: list[httpx2.Response] = []
        for _ in range(20):  # how many wait together is up to the machine
            answers = asyncio.run(wave(server, synthetic.applications[:WAVE]))
            shed += [answer for answer in answers if answer.status_code != 200]
            if shed:
                break
        assert {answer.status_code for answer in shed} == {503}
        for answer in shed:
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-request-id"]
            assert reason in answer.json()["error"]
            assert answer.json()["detail"] == []
        assert all_of(server, "credit_risk_sheds_total") == len(shed)
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=10) as ready:
            assert ready.status == 200


def test_the_fast_path_can_be_turned_off() -> None:
    with serving(CREDIT_RISK_FAST_PATH="false", BENTOML_CONFIG_OVERRIDES=overridden()) as server:
        with httpx2.Client(base_url=server.url) as client:
            response = client.post("/classify", json=SAMPLE)
        assert response.status_code == 200
        assert "x-bentoml-request-id" in response.headers


def test_the_metrics_add_up_over_both_workers(server: Server, synthetic: Dataset) -> None:
    before = (
        all_of(server, *DECIDING),
        all_of(server, "credit_risk_decisions_total"),
    )
    asyncio.run(wave(server, synthetic.applications[:WAVE]))
    with httpx2.Client(base_url=server.url) as client:
        client.post("/classify", content=b"{}")
        client.post("/classify_batch", json=[SAMPLE] * 3)
    after = (
        all_of(server, *DECIDING),
        all_of(server, "credit_risk_decisions_total"),
    )
    assert after[0] - before[0] == WAVE + 2
    assert after[1] - before[1] == WAVE + 3
    assert metric(server, 'credit_risk_requests_total{route="/classify",status="400"}') >= 1
    assert metric(server, 'credit_risk_request_seconds_count{route="/classify"}') >= WAVE
    for stage in ("read", "validate", "queue", "predict", "decide", "record", "write"):
        assert all_of(server, "credit_risk_stage_seconds_total", f'requests="single",stage="{stage}"') > 0
    assert metric(server, "credit_risk_queue_depth") == 0


def raw(server: Server, request: bytes, answers: int) -> str:
    """What comes back for these bytes, until as many answers have come."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while received.count(b"decision_id") < answers:
            chunk = connection.recv(65536)
            assert chunk, received
            received += chunk
    return received.decode()


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    bodies = [json.dumps({**SAMPLE, "seniority": years}).encode() for years in range(20)]
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nX-Request-ID: {}\r\nContent-Length: {}\r\n\r\n"
    requests = b"".join(head.format(f"number-{i}", len(body)).encode() + body for i, body in enumerate(bodies))
    received = raw(server, requests, answers=20)
    assert received.count("HTTP/1.1 200 OK") == 20
    assert re.findall(r"x-request-id: number-(\d+)", received) == [str(i) for i in range(20)]


def test_a_chunked_body_is_read(server: Server) -> None:
    body = json.dumps(SAMPLE).encode()
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:100], body[100:]))
    request = b"POST /classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    assert "HTTP/1.1 200 OK" in raw(server, request, answers=1)


def test_callers_who_hang_up_harm_nobody(server: Server) -> None:
    address = urlsplit(server.url)
    body = json.dumps(SAMPLE).encode()
    for cut in (10, 60, len(body) + 60):
        request = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(request[:cut])
    with httpx2.Client(base_url=server.url) as client:
        assert client.post("/classify", json=SAMPLE).status_code == 200
    assert "Traceback" not in server.log.read_text()
    assert "Exception" not in server.log.read_text()
