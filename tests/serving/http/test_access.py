from __future__ import annotations

import asyncio
import json
import re
from hashlib import sha256
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.types import Message, Receive, Scope, Send

from credit_risk.commands.cli import cli
from credit_risk.serving.http.access import BODY_LIMITS, Access

KEYS = {name: sha256(token.encode()).hexdigest() for name, token in {"bank": "token-1", "shop": "token-2"}.items()}


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
    keys: dict[str, str] = KEYS,
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
        scope = {"type": "http", "method": "POST", "path": path, "headers": raw}
        await Access(behind, lambda: keys, open_metrics=open_metrics)(scope, receive, send)

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
    [None, "", "Bearer", "Bearer ", "Bearer token-3", "Basic token-1", "token-1", f"Bearer {KEYS['bank']}"],
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
    keys = json.loads(re.findall(r"CREDIT_RISK_API_KEYS='(.*)'", output)[0])
    assert list(keys) == ["bank"]
    assert token not in json.dumps(keys)
    assert ask(Behind(), {"authorization": f"Bearer {token}"}, keys=keys)[0] == 200
