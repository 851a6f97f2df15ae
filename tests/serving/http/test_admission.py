from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from credit_risk.serving.http import admission as module
from credit_risk.serving.http.access import MANY
from credit_risk.serving.http.admission import MOST_WAITING, Admission
from credit_risk.serving.http.whole_body import WholeBody


class Batches:
    """What is behind: each batch is decided when the test says so."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["number"])
        if scope["path"] in MANY:
            await self.go_on.acquire()
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Caller:
    """One request, and how its body is read and answered."""

    def __init__(self, app: Admission, number: int, path: str = "/classify_batch", method: str = "POST") -> None:
        self.body_was_read = False
        self.sent: list[Message] = []
        scope = {"type": "http", "path": path, "method": method, "number": number, "headers": []}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        self.body_was_read = True
        return {"type": "http.request", "body": b"[]", "more_body": False}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def on_a_loop(scenario: Callable[[Batches, Admission], Awaitable[None]]) -> None:
    async def run() -> None:
        batches = Batches()
        await scenario(batches, Admission(WholeBody(batches)))

    asyncio.run(run())


def test_one_batch_at_a_time_is_read_and_decided_in_the_order_in_which_they_came() -> None:
    async def scenario(batches: Batches, app: Admission) -> None:
        callers = [Caller(app, number, MANY[number % len(MANY)]) for number in range(5)]
        for turn in range(5):
            await settled()
            assert batches.begun == list(range(turn + 1))
            assert [caller.body_was_read for caller in callers] == [number <= turn for number in range(5)]
            batches.go_on.release()
        await settled()
        assert [caller.status for caller in callers] == [200] * 5

    on_a_loop(scenario)


def test_what_finds_too_many_waiting_is_refused_unread() -> None:
    async def scenario(batches: Batches, app: Admission) -> None:
        callers = [Caller(app, number) for number in range(MOST_WAITING + 2)]
        await settled()
        refused = callers[-1]
        assert (refused.status, refused.body_was_read) == (503, False)
        assert int(dict(refused.sent[0]["headers"])[b"retry-after"]) >= 1
        assert json.loads(refused.sent[1]["body"])["error"] == module.BATCHES_FULL
        for _ in callers[:-1]:
            batches.go_on.release()
            await settled()
        assert [caller.status for caller in callers[:-1]] == [200] * (MOST_WAITING + 1)

    on_a_loop(scenario)


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SECONDS", 0.01)

    async def scenario(batches: Batches, app: Admission) -> None:
        first, second = Caller(app, 0), Caller(app, 1)
        await second.task
        assert (second.status, second.body_was_read) == (503, False)
        batches.go_on.release()
        await first.task
        assert first.status == 200

    on_a_loop(scenario)


@pytest.mark.parametrize("gone", [0, 1], ids=["the one that is decided", "one that waits"])
def test_a_caller_who_goes_leaves_its_turn_to_the_next(gone: int) -> None:
    async def scenario(batches: Batches, app: Admission) -> None:
        callers = [Caller(app, number) for number in range(3)]
        await settled()
        callers[gone].task.cancel()
        await settled()
        for _ in range(2):
            batches.go_on.release()
            await settled()
        assert [caller.status for caller in callers] == [None if n == gone else 200 for n in range(3)]

    on_a_loop(scenario)


@pytest.mark.parametrize(("path", "method"), [("/classify", "POST"), ("/classify_batch", "OPTIONS"), ("/livez", "GET")])
def test_other_requests_wait_for_no_batch(path: str, method: str) -> None:
    async def scenario(batches: Batches, app: Admission) -> None:
        Caller(app, 0)
        await settled()
        other = Caller(app, 1, path, method)
        await settled()
        assert batches.begun == [0, 1]
        batches.go_on.release()
        batches.go_on.release()
        await other.task
        assert other.status == 200

    on_a_loop(scenario)
