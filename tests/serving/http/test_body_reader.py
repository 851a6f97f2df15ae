from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from credit_risk.contract.errors import TooLargeError
from credit_risk.serving.http import body_reader


def read(messages: list[Message], limit: int = 100) -> bytes | None:
    async def run() -> bytes | None:
        async def receive() -> Message:
            if not messages:
                await asyncio.sleep(60)
            return messages.pop(0)

        return await body_reader.read_body(receive, limit)

    return asyncio.run(run())


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_parts_are_put_together() -> None:
    assert read([part(b"a", more=True), part(b"", more=True), part(b"bc")]) == b"abc"


def test_a_caller_who_goes_away_leaves_nothing() -> None:
    assert read([{"type": "http.disconnect"}]) is None
    assert read([part(b"half", more=True), {"type": "http.disconnect"}]) is None


def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    rest = [part(b"x" * 50, more=True) for _ in range(10)]
    with pytest.raises(TooLargeError):
        read(rest)
    assert len(rest) == 7


def test_a_body_that_comes_at_once_has_the_same_limit() -> None:
    assert read([part(b"x" * 100)]) == b"x" * 100
    with pytest.raises(TooLargeError):
        read([part(b"x" * 101)])
