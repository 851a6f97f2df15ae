from __future__ import annotations

import asyncio
import json

from starlette.types import Message, Receive, Scope, Send

from credit_risk.serving.http.timeout import Timeout


def ask(seconds_to_begin: float, seconds_to_end: float) -> tuple[list[Message], bool]:
    """What is sent by an application of a twentieth of a second, and whether it came to its end."""
    sent: list[Message] = []
    has_ended = False

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal has_ended
        await asyncio.sleep(seconds_to_begin)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(seconds_to_end)
        await send({"type": "http.response.body", "body": b""})
        has_ended = True

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Timeout(app, 0.05)({"type": "http", "headers": []}, receive, send))
    return sent, has_ended


def test_an_answer_that_does_not_begin_in_time_is_given_up() -> None:
    sent, has_ended = ask(60, 0)
    assert (sent[0]["status"], has_ended) == (504, False)
    assert json.loads(sent[1]["body"]) == {"error": "The service did not answer within 0.05 seconds", "detail": []}


def test_an_answer_that_has_begun_may_take_longer() -> None:
    sent, has_ended = ask(0, 0.1)
    assert (sent[0]["status"], has_ended) == (200, True)
