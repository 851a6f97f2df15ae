"""The direct path, over real connections on a loop of the test's own; in front of it stands uvicorn's protocol."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from time import perf_counter
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.server import ServerState

from credit_risk.contract.errors import TimedOutError
from credit_risk.deciding.log import FakeLog
from credit_risk.model.decoding import Decoder
from credit_risk.model.store import StoredModel
from credit_risk.serving.batching import Batching
from credit_risk.serving.bento.connections import Connections
from credit_risk.serving.bento.direct import DirectPath
from credit_risk.serving.bento.exchange import Exchange
from credit_risk.serving.bento.protocol import GuardedProtocol
from credit_risk.serving.bento.shedding import Shedding
from credit_risk.serving.bento.turns import Turns
from credit_risk.serving.concurrency import ConcurrencyLimit
from credit_risk.serving.endpoints import Endpoints
from credit_risk.serving.http.body_reader import read_body
from credit_risk.serving.keys import Key, Keys
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.once import Once
from credit_risk.serving.runner import AdaptiveRunner
from tests.corpus import BAD, GOOD, SAMPLE
from tests.deciders import decider_of

BODY = json.dumps(SAMPLE).encode()
SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def post(body: bytes = BODY, headers: dict[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    lines = {"host": "x", "content-length": str(len(body)), "content-type": "application/json"} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /classify HTTP/1.1\r\n{head}\r\n".encode() + body


@pytest.fixture(autouse=True)
def _speaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have uvicorn's protocol make its cycles as `speak_for` does."""
    monkeypatch.setattr(httptools_impl, "RequestResponseCycle", Exchange)


class Worker:
    """The protocol of a worker, in front of an application that notes what reaches it."""

    def __init__(self, model: StoredModel, keys: Keys | None = None, **batching: Any) -> None:
        self.log = FakeLog()
        self.metrics = Metrics({"/classify"})
        self.decider = decider_of(model, log=self.log)
        settings = Batching(**batching)
        once = Once(None, lambda _: {}, 60)
        runner = AdaptiveRunner(self.decider, settings, self.metrics)
        self.endpoints = Endpoints(runner, self.metrics, Decoder(model.encoder.names), once=once)
        self.draining = False
        self.limit = ConcurrencyLimit(1000, 1.0)
        self.reached: list[Any] = []
        self.counted: list[tuple[str, int]] = []
        self.seconds: list[float] = []
        self.connections = Connections(100, self._count)
        self._direct = DirectPath(lambda: self.endpoints, lambda: keys or {}, lambda: self.draining)
        self._config = uvicorn.Config(self._app, interface="asgi3", lifespan="off")

    def _count(self, path: str, status: int, seconds: float, *_: Any) -> None:
        self.counted.append((path, status))
        self.seconds.append(seconds)

    async def _app(self, _: Any, receive: Any, send: Any) -> None:
        self.reached.append(await read_body(receive, 2**20))
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def protocol(self) -> GuardedProtocol:
        shedding = Shedding(self.limit, 1.0, lambda: self.draining, lambda _: None)
        state = {"server_state": ServerState(), "app_state": {}}
        return GuardedProtocol(self.connections, shedding, Turns(), self._direct, self._config, **state)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def on_a_connection(worker: Worker, talk: Talk) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(worker.protocol, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            async with asyncio.timeout(20):
                await talk(reader, writer)
            writer.close()

    asyncio.run(run())


def said(worker: Worker, *requests: bytes, answers: int | None = None) -> list[tuple[int, bytes]]:
    """Send requests one after the other, each as soon as the one before has been sent; give status and body of each."""
    found: list[tuple[int, bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in requests:
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(0.01)
        for _ in range(len(requests) if answers is None else answers):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head)
            assert length
            found.append((int(head.split()[1]), await reader.readexactly(int(length[1]))))

    on_a_connection(worker, talk)
    return found


def test_a_plain_request_is_decided_recorded_and_counted_without_asgi(model: StoredModel) -> None:
    worker = Worker(model)
    (status, body), *_ = said(worker, post(), post())
    assert status == 200
    assert json.loads(body)["decision_id"] == worker.log.decisions[0].decision_id
    assert len(worker.log.decisions) == 2
    assert worker.counted == [("/classify", 200)] * 2
    assert all(0 < seconds < 60 for seconds in worker.seconds)
    assert worker.reached == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused_and_the_connection_goes_on(model: StoredModel, name: str) -> None:
    worker = Worker(model)
    assert [status for status, _ in said(worker, post(BAD[name].body), post())] == [400, 200]
    assert (worker.reached, len(worker.log.decisions)) == ([], 1)


@pytest.mark.parametrize("headers", [{}, {"X-Request-Id": "abc"}, {"X-Custom": "1", "traceparent": SAMPLED[:-1] + "0"}])
def test_these_are_plain(model: StoredModel, headers: dict[str, str]) -> None:
    worker = Worker(model)
    assert said(worker, post(headers=headers))[0][0] == 200
    assert worker.reached == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "once"},
        {"Origin": "https://example.com"},
        {"Prefer": "respond-async"},
        {"traceparent": SAMPLED},
        {"content-type": "application/vnd.bentoml+pickle"},
        {"content-length": f"{len(BODY):06}"},
        {"Connection": "close"},
        {"Connection": "Upgrade", "Upgrade": "h2c"},
    ],
    ids=str,
)
def test_what_is_not_plain_goes_through_asgi(model: StoredModel, headers: dict[str, str]) -> None:
    worker = Worker(model)
    assert said(worker, post(headers=headers)) == [(202, b"")]
    assert (worker.reached, worker.log.decisions) == ([BODY], [])


@pytest.mark.parametrize(
    "request_",
    [
        post(BODY + b" " * 64 * 1024),
        post().replace(b"/classify", b"/classify?a=1"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"POST /classify HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
    ],
    ids=["too large", "a query", "HTTP/1.0", "chunks"],
)
def test_other_requests_go_through_asgi(model: StoredModel, request_: bytes) -> None:
    worker = Worker(model)
    assert said(worker, request_) == [(202, b"")]


def test_a_worker_that_drains_answers_through_asgi_which_says_goodbye(model: StoredModel) -> None:
    worker = Worker(model)
    worker.draining = True
    assert said(worker, post()) == [(202, b"")]


@pytest.mark.parametrize(
    ("key", "token", "reaches"),
    [
        (Key(sha256=sha256(b"t").hexdigest()), "t", "a decision"),
        (Key(sha256=sha256(b"t").hexdigest()), "wrong", "asgi"),
        (Key(sha256=sha256(b"t").hexdigest(), right="review"), "t", "asgi"),
        (Key(sha256=sha256(b"t").hexdigest(), requests_per_second=5), "t", "asgi"),
        (Key(sha256=sha256(b"t").hexdigest(), batches=1), "t", "a decision"),
    ],
    ids=["right", "wrong", "of a reviewer", "with a limit", "with a limit of batches"],
)
def test_a_key_is_asked_for(model: StoredModel, key: Key, token: str, reaches: str) -> None:
    worker = Worker(model, {"lender": key})
    [(status, _)] = said(worker, post(headers={"Authorization": f"Bearer {token}"}))
    assert status == (200 if reaches == "a decision" else 202)
    assert [decided.origin.caller for decided in worker.log.decisions] == ["lender"] * (reaches == "a decision")
    assert said(Worker(model, {"lender": key}), post()) == [(202, b"")]  # without a token


def test_a_request_may_come_in_pieces(model: StoredModel) -> None:
    worker = Worker(model)
    request = post()
    pieces = [request[:20], request[20:150], request[150:-3], request[-3:]]
    assert [status for status, _ in said(worker, *pieces, answers=1)] == [200]
    assert worker.reached == []


def test_requests_that_come_together_are_answered_in_their_order(model: StoredModel) -> None:
    worker = Worker(model)
    other = post(headers={"Origin": "https://example.com"})
    together = post() + post(b"{}") + other + post() + post(b"[")
    found = [status for status, _ in said(worker, together, answers=5)]
    assert found[0] == 200
    assert found[2] == 202
    assert len(worker.log.decisions) + len(worker.reached) == 5 - found.count(400)


def test_a_thousand_requests_at_once_are_all_answered(model: StoredModel) -> None:
    worker = Worker(model)
    found = [status for status, _ in said(worker, post() * 500 + post(b"[") * 500, answers=1000)]
    assert len(found) == found.count(400) + len(worker.log.decisions) + len(worker.reached)
    assert set(found) <= {200, 202, 400}


def in_one_turn(worker: Worker, happens: Callable[[GuardedProtocol], None]) -> bytes:
    """What is written to a connection after this has happened in one turn of the loop."""
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = False
    transport.get_write_buffer_size.return_value = 0

    async def run() -> None:
        protocol = worker.protocol()
        protocol.connection_made(transport)
        happens(protocol)
        await asyncio.sleep(0.05)

    asyncio.run(run())
    return b"".join(call.args[0] for call in transport.write.call_args_list)


def test_who_goes_away_while_queueing_is_not_decided(model: StoredModel) -> None:
    worker = Worker(model)

    def leave(protocol: GuardedProtocol) -> None:
        protocol.data_received(post())
        assert worker.limit._under_way == 1
        protocol.connection_lost(None)

    assert in_one_turn(worker, leave) == b""
    assert (worker.log.decisions, worker.counted, worker.reached) == ([], [], [])
    assert worker.limit._under_way == 0


def test_who_waited_too_long_is_refused(model: StoredModel) -> None:
    worker = Worker(model, max_latency_ms=1)

    def wait(protocol: GuardedProtocol) -> None:
        protocol.data_received(post())
        time.sleep(0.02)

    assert in_one_turn(worker, wait).startswith(b"HTTP/1.1 503")
    assert worker.log.decisions == []


def test_an_answer_to_a_worker_that_ends_closes_the_connection(model: StoredModel) -> None:
    worker = Worker(model)

    def end(protocol: GuardedProtocol) -> None:
        protocol.data_received(post())
        protocol.shutdown()

    answer = in_one_turn(worker, end)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


def test_a_caller_who_does_not_read_is_answered_through_asgi_which_waits(model: StoredModel) -> None:
    worker = Worker(model)

    def stall(protocol: GuardedProtocol) -> None:
        protocol.pause_writing()
        protocol.data_received(post())

    assert in_one_turn(worker, stall) == b""
    assert worker.reached == [BODY]


def test_a_body_that_does_not_end_is_given_up_with_a_word(model: StoredModel) -> None:
    worker = Worker(model)
    protocols: list[GuardedProtocol] = []
    make = worker.protocol
    worker.protocol = lambda: protocols.append(make()) or protocols[-1]  # type: ignore[method-assign,func-returns-value]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(post(headers={"X-Request-Id": "slow"})[:-5])
        await asyncio.sleep(0.05)
        assert protocols[0] in worker.connections._reading  # whose time is bounded
        protocols[0].give_up(TimedOutError(10))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in answer
        assert b"x-request-id: slow" in answer

    before = perf_counter()
    on_a_connection(worker, talk)
    assert worker.counted == [("/classify", 408)]
    assert 0.05 <= worker.seconds[0] <= perf_counter() - before


def test_whatever_goes_wrong_is_answered_and_the_rest_of_the_batch_is_not_harmed(model: StoredModel) -> None:
    worker = Worker(model)
    worker.log.error = RuntimeError("an applicant's data")
    (status, body), *_ = said(worker, post())
    assert status == 500
    assert b"applicant" not in body
    worker.log.error = None
    assert said(worker, post())[0][0] == 200


def test_all_good_bodies_get_their_decisions(model: StoredModel) -> None:
    worker = Worker(model)
    assert [status for status, _ in said(worker, *[post(body) for body in GOOD.values()])] == [200] * len(GOOD)
    assert worker.reached == []
