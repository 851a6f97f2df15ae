from __future__ import annotations

import asyncio
import json
import re
import time
from hashlib import sha256
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter
from starlette.types import Message, Receive, Scope, Send

from credit_risk.commands.cli import cli
from credit_risk.serving.http import failed_keys
from credit_risk.serving.http.access import BODY_LIMITS, Access
from credit_risk.serving.keys import Key, Keys
from credit_risk.serving.limits import ROWS
from tests.serving.http.unused import unused_limits

KEYS = {
    name: Key(sha256=sha256(token.encode()).hexdigest())
    for name, token in {"bank": "token-1", "shop": "token-2"}.items()
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_keys, "SECONDS", 0.01)


class Behind:
    """What is behind: answers 200 to everything, and keeps what it saw."""

    def __init__(self) -> None:
        self.callers: list[str | None] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.callers.append(scope.get("caller"))
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})


def ask(
    behind: Behind,
    headers: dict[str, str] | None = None,
    *,
    path: str = "/classify",
    parts: tuple[bytes, ...] = (b"{}",),
    keys: Keys = KEYS,
    open_metrics: bool = True,
) -> tuple[int, dict[bytes, bytes], Any]:
    messages = [{"type": "http.request", "body": p, "more_body": i < len(parts) - 1} for i, p in enumerate(parts)]
    sent: list[Message] = []

    async def run() -> None:
        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {"type": "http", "method": "POST", "path": path, "headers": raw, "client": ("10.1.2.3", 5)}
        await Access(behind, lambda: keys, unused_limits(), open_metrics=open_metrics, largest_job=2**20)(
            scope, receive, send
        )

    asyncio.run(run())
    body = json.loads(sent[1]["body"]) if len(sent) > 1 else None
    return sent[0]["status"], dict(sent[0]["headers"]), body


@pytest.mark.parametrize(("token", "caller"), [("token-1", "bank"), ("token-2", "shop")])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_each_key_is_let_in_under_its_name(scheme: str, token: str, caller: str) -> None:
    behind = Behind()
    assert ask(behind, {"authorization": f"{scheme} {token}"})[0] == 200
    assert behind.callers == [caller]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer token-3", "Basic token-1", "token-1", f"Bearer {KEYS['bank'].sha256}"],
)
def test_without_a_known_token_nobody_is_let_in(authorization: str | None) -> None:
    behind = Behind()
    status, headers, body = ask(behind, {"authorization": authorization} if authorization is not None else {})
    assert (status, behind.callers) == (401, [])
    assert headers[b"www-authenticate"] == b"Bearer"
    assert body == {"error": "Send a valid API key as a bearer token", "detail": []}


def test_without_keys_everybody_is_let_in() -> None:
    behind = Behind()
    assert ask(behind, keys={})[0] == 200
    assert behind.callers == [None]


@pytest.mark.parametrize(
    ("path", "open_metrics", "status"),
    [
        *((path, False, 200) for path in ("/livez", "/readyz", "/healthz")),
        *(("/metrics", True, 200), ("/metrics", False, 401)),
        *((path, True, 401) for path in ("/", "/docs.json", "/classify_batch", "/nowhere", "/livez/", "/METRICS")),
    ],
)
def test_health_is_open_and_metrics_by_a_setting(path: str, open_metrics: bool, status: int) -> None:
    assert ask(Behind(), path=path, open_metrics=open_metrics)[0] == status


@pytest.mark.parametrize(("path", "limit"), [*BODY_LIMITS.items(), ("/nowhere", 64 * 1024)])
def test_a_body_is_let_through_up_to_its_limit(path: str, limit: int) -> None:
    for length, status in ((limit, 200), (limit + 1, 413)):
        behind = Behind()
        body = b"x" * length
        headers = {"content-length": str(length)}
        answer = ask(behind, headers, path=path, parts=(body[:10], body[10:-10], body[-10:]), keys={})
        assert answer[0] == status
        if status == 200:
            assert behind.bodies == [body]
        else:
            assert behind.bodies == []
            assert answer[2] == {"error": f"Send at most {limit} bytes in a request", "detail": []}


def test_a_new_key_is_let_in() -> None:
    output = CliRunner().invoke(cli, ["new-key", "bank"]).output
    token = re.findall(r"Token, for bank alone: (\S+)", output)[0]
    written = re.findall(r"CREDIT_RISK_API_KEYS='(.*)'", output)[0]
    keys = TypeAdapter(Keys).validate_json(written)
    assert list(keys) == ["bank"]
    assert token not in written
    assert ask(Behind(), {"authorization": f"Bearer {token}"}, keys=keys)[0] == 200


LIMITED = {"bank": Key(sha256=sha256(b"token-1").hexdigest(), requests_per_second=3, batches=1), "shop": KEYS["shop"]}


def asked_by(access: Access, token: str, path: str = "/classify") -> tuple[int, dict[bytes, bytes]]:
    sent: list[Message] = []

    async def run() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer " + token.encode())]
        await access({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)

    asyncio.run(run())
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_caller_is_told_what_is_left_and_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    access = Access(Behind(), lambda: LIMITED, unused_limits(), open_metrics=True, largest_job=2**20)
    answers = [asked_by(access, "token-1") for _ in range(4)]
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert [headers.get(b"ratelimit") for _, headers in answers] == [
        b'"requests";r=%d;t=1' % left for left in (2, 1, 0)
    ] + [None]
    assert answers[0][1][b"ratelimit-policy"] == b'"requests";q=3;w=1'
    assert answers[3][1][b"retry-after"] == b"1"
    status, headers = asked_by(access, "token-2")  # whose key has no limit
    assert (status, b"ratelimit" in headers) == (200, False)


@pytest.mark.parametrize("path", ["/classify_batch", "/classify_array", "/classify_table"])
def test_a_caller_has_so_many_batches_at_a_time(path: str) -> None:
    counts = unused_limits()
    access = Access(Behind(), lambda: LIMITED, counts, open_metrics=True, largest_job=2**20)
    with counts.batch("bank", 1):
        assert asked_by(access, "token-1", path)[0] == 429
        assert asked_by(access, "token-1", "/classify")[0] == 200
    assert asked_by(access, "token-1", path)[0] == 200


def test_more_callers_than_rows_share_them() -> None:
    counts = unused_limits()
    for number in range(ROWS + 2):
        assert counts.take(f"caller-{number}", 10, 100.0).limit == 10


def test_guessing_keys_is_seen_by_address_and_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "bentoml.credit_risk"):
        ask(Behind(), {"authorization": "Bearer guessed"})
    [record] = caplog.records
    assert record.getMessage() == "Requests without a valid API key from 10.1.2.3: 1"
