"""The one error body, whoever refuses: this project, BentoML's router, its limits, or a failure inside it."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.conftest import copy_project
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving

BODY = json.dumps(SAMPLE).encode()
TRAFFIC = {"traffic": {"timeout": 2, "max_concurrency": 1}, "workers": 1}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    content: bytes


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return Answer(answer.status, answer.headers, content)


def assert_error(answer: Answer, status: int) -> None:
    """The contract's body, whole, and nothing but JSON."""
    assert answer.status == status, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    body = json.loads(answer.content)
    assert list(body) == ["error", "detail"]
    assert body["error"]
    assert isinstance(body["detail"], list)


def ask(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request(method, path, body, headers)
    return answer_of(connection)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/classify", b"{}", {}, 400),
        ("POST", "/classify_batch", b"{}", {}, 400),
        ("GET", "/nowhere", b"", {}, 404),
        ("GET", "/classify", b"", {}, 405),
        ("POST", "/readyz", b"", {}, 405),
        ("POST", "/classify", b"x" * 70_000, {}, 413),
        ("POST", "/classify", BODY, {"Content-Type": "application/vnd.bentoml+pickle"}, 415),
    ],
)
def test_what_is_refused_at_once(
    server: Server, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = ask(server, method, path, body, **{"X-Request-ID": "from-a-caller", **headers})
    assert_error(answer, status)
    assert answer.headers["X-Request-ID"] == "from-a-caller"


def copy_with_endpoint(folder: Path, statement: str) -> None:
    """Copy the project, with this statement in place of what BentoML's endpoint does for /classify."""
    copy_project(folder)
    text = (folder / "service.py").read_text()
    changed = text.replace("return respond(await self.endpoints.classify(request))", statement)
    assert changed != text
    (folder / "service.py").write_text(changed)


def test_what_bentoml_refuses_for_its_limits(tmp_path: Path) -> None:
    copy_with_endpoint(tmp_path, "import asyncio; await asyncio.sleep(60)")
    overrides: dict[str, Any] = {"services": {"credit_risk_classifier": TRAFFIC}}
    environment: dict[str, Any] = {"BENTOML_CONFIG_OVERRIDES": json.dumps(overrides), "CREDIT_RISK_FAST_PATH": "false"}
    with serving(folder=tmp_path, **environment) as server, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: ask(server, "POST", "/classify", BODY), range(2)))
        first, second = sorted(answers, key=lambda answer: answer.status)
        assert_error(first, 429)
        assert_error(second, 504)
        assert "Traceback" not in server.log.read_text()


def test_what_fails_inside_bentoml_says_nothing_of_it(tmp_path: Path) -> None:
    copy_with_endpoint(tmp_path, "raise ValueError('secret')")
    with serving(folder=tmp_path, CREDIT_RISK_FAST_PATH="false", CREDIT_RISK_WORKERS="1") as server:
        answer = ask(server, "POST", "/classify", BODY)
        assert "secret" not in f"{answer.headers}{answer.content!r}"
        assert_error(answer, 500)
