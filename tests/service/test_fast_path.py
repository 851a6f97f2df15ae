"""The fast path beside BentoML's endpoint: a sampled trace goes the long way, so one application serves both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from credit_risk.serving.answers import Answer
from credit_risk.serving.endpoints import Request
from credit_risk.serving.http.fast_path import FastPath
from credit_risk.serving.metrics import Metrics
from tests.corpus import BAD, GOOD, SAMPLE

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + "0"
BODIES = GOOD | {name: bad.body for name, bad in BAD.items()}


@pytest.fixture(autouse=True)
def _same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_risk.deciding.decider.uuid7", lambda: "the-same-each-time")


def went_the_long_way(headers: Any) -> bool:
    return "x-bentoml-request-id" in headers


@pytest.mark.parametrize("name", BODIES)
def test_both_ways_give_the_same_status_and_bytes(client: TestClient, name: str) -> None:
    fast = client.post("/classify", content=BODIES[name])
    slow = client.post("/classify", content=BODIES[name], headers={"traceparent": SAMPLED})
    assert not went_the_long_way(fast.headers)
    assert went_the_long_way(slow.headers)
    assert (fast.status_code, fast.content) == (slow.status_code, slow.content)
    assert fast.headers["content-type"] == slow.headers["content-type"] == "application/json"
    assert fast.status_code == (200 if name in GOOD else 400)


@pytest.mark.parametrize(
    ("headers", "long"),
    [
        ({"traceparent": SAMPLED}, True),
        ({"traceparent": UNSAMPLED}, False),
        ({"traceparent": "nonsense"}, False),
        ({"traceparent": ""}, False),
        ({"origin": "https://example.com"}, False),
        ({"content-type": "text/csv"}, False),
        ({}, False),
    ],
)
def test_what_bentoml_has_to_see_goes_the_long_way(client: TestClient, headers: dict[str, str], long: bool) -> None:
    response = client.post("/classify", json=SAMPLE, headers=headers)
    assert response.status_code == 200
    assert went_the_long_way(response.headers) is long


@pytest.mark.parametrize("way", [{}, {"traceparent": SAMPLED}], ids=["fast", "long"])
@pytest.mark.parametrize("body", [GOOD["nulls"], b"{}"], ids=["good", "bad"])
def test_a_request_id_is_echoed_or_made(client: TestClient, way: dict[str, str], body: bytes) -> None:
    given = client.post("/classify", content=body, headers={"x-request-id": "abc-123", **way})
    assert given.headers["x-request-id"] == "abc-123"
    made = [client.post("/classify", content=body, headers=way).headers["x-request-id"] for _ in range(2)]
    assert len(made[0]) == 36
    assert made[0] != made[1]
    for unfit in ("x" * 200, ""):
        assert (
            len(client.post("/classify", content=body, headers={"x-request-id": unfit, **way}).headers["x-request-id"])
            == 36
        )


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("HEAD", 405), ("OPTIONS", 405), ("DELETE", 405)])
def test_other_methods_fall_through(client: TestClient, method: str, status: int) -> None:
    response = client.request(method, "/classify")
    assert response.status_code == status
    assert response.headers["allow"] == "POST"


class Echo:
    """Stands in for the endpoints: answers with the body it was given."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.seen: list[bytes] = []

    async def classify(self, request: Request) -> Answer:
        self.seen.append(request.body)
        return Answer(200, [], request.body)  # type: ignore[arg-type]


def through(messages: list[Message], path: str = "/classify") -> tuple[list[bytes], list[Message], list[str]]:
    """What the endpoints saw, what was sent, and which paths fell through."""
    endpoints, sent, fallen = Echo(), [], []

    async def behind(scope: Scope, *_: Any) -> None:
        fallen.append(scope["path"])

    async def run() -> None:
        waiting = iter(messages)

        async def receive() -> Message:
            return next(waiting)

        async def send(message: Message) -> None:
            sent.append(message)

        app = FastPath(behind, lambda: endpoints)  # type: ignore[arg-type, return-value]
        await app({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)

    asyncio.run(run())
    return endpoints.seen, sent, fallen


def test_a_body_in_chunks_is_put_together() -> None:
    chunks = [{"type": "http.request", "body": part, "more_body": True} for part in (b"a", b"", b"bc")]
    seen, sent, _ = through([*chunks, {"type": "http.request", "body": b"d", "more_body": False}])
    assert seen == [b"abcd"]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b"half", "more_body": True}]])
def test_a_caller_who_goes_away_is_not_scored(before: list[Message]) -> None:
    seen, sent, fallen = through([*before, {"type": "http.disconnect"}])
    assert (seen, sent, fallen) == ([], [], [])


@pytest.mark.parametrize("path", ["/classify/", "/classify_batch", "/Classify", "/"])
def test_other_paths_fall_through(path: str) -> None:
    assert through([], path)[2] == [path]
