"""Requests with the same key at the same time, and callers that go away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.conflicts import ConflictError
from credit_risk.contract.errors import InvalidRequestError, UnavailableError
from credit_risk.jobs.sqlite_store import SqliteJobs
from credit_risk.serving import once as module
from credit_risk.serving.once import Once, Use, together, without

KEY = b"a key"


class Deciding:
    """Takes its time, and counts how often it decides."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.ids: list[str] = []
        self.error: Exception | None = None

    async def __call__(self, use: Use) -> bytes:
        self.begun.set()
        await self.go_on.wait()
        self.ids.append(use.id_of(0))
        if self.error:
            raise self.error
        return self.ids[-1].encode()


def find_nothing(_: Collection[str]) -> Mapping[str, bytes]:
    return {}


@pytest.fixture
def once(tmp_path: Path) -> Once:
    return Once(lambda: SqliteJobs(tmp_path / "jobs.sqlite"), find_nothing, 10.0)


async def ask(once: Once, decide: Deciding, caller: str | None = None, key: bytes = KEY) -> tuple[bytes, bool]:
    return await once.answer(caller, key, [b"classify\n", b"{}"], decide)


def test_of_many_at_a_time_one_decides_and_the_others_are_told_to_wait(once: Once) -> None:
    async def run() -> None:
        decide = Deciding()
        asked = [asyncio.create_task(ask(once, decide)) for _ in range(20)]
        _, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_EXCEPTION)
        await decide.begun.wait()
        while len(waiting) > 1:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        decide.go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 19
        assert (decide.ids[0].encode(), False) in answers
        assert await ask(once, decide) == (decide.ids[0].encode(), True)
        assert len(decide.ids) == 1

    asyncio.run(run())


def test_a_key_is_its_callers_alone(once: Once) -> None:
    async def run() -> None:
        decide = Deciding()
        decide.go_on.set()
        answers = [await ask(once, decide, caller) for caller in (None, "me", "you")]
        assert len(set(answers)) == 3
        assert (await ask(once, decide, "me"))[0] == answers[1][0]

    asyncio.run(run())


def test_a_caller_who_has_gone_finds_the_answer(once: Once) -> None:
    async def run() -> None:
        decide = Deciding()
        gone = asyncio.create_task(ask(once, decide))
        await decide.begun.wait()
        gone.cancel()
        await asyncio.sleep(0)
        assert not gone.done()  # so that a batch keeps its turn
        decide.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await ask(once, decide) == (decide.ids[0].encode(), True)

    asyncio.run(run())


@pytest.mark.parametrize(("error", "same"), [(InvalidRequestError("no"), False), (RuntimeError(), True)])
def test_what_failed_may_be_asked_again_at_once(once: Once, error: Exception, same: bool) -> None:
    """A refusal leaves no trace. Anything else may have left a record, so the ids stay."""

    async def run() -> None:
        decide = Deciding()
        decide.go_on.set()
        decide.error = error
        with pytest.raises(type(error)):
            await ask(once, decide)
        decide.error = None
        assert await ask(once, decide) == (decide.ids[1].encode(), False)
        assert (decide.ids[0] == decide.ids[1]) is same

    asyncio.run(run())


def test_a_refusal_of_what_was_cut_short_keeps_the_ids(once: Once) -> None:
    async def run() -> None:
        decide = Deciding()
        decide.go_on.set()
        for decide.error in (RuntimeError(), UnavailableError("not now"), None):
            if decide.error:
                with pytest.raises(type(decide.error)):
                    await ask(once, decide)
        await ask(once, decide)
        assert len(decide.ids) == 3
        assert len(set(decide.ids)) == 1

    asyncio.run(run())


def test_too_many_at_a_time_are_refused(once: Once, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        decide = Deciding()
        first = asyncio.create_task(ask(once, decide))
        await decide.begun.wait()
        with pytest.raises(UnavailableError):
            await ask(once, decide, key=b"another")
        decide.go_on.set()
        await first
        await ask(once, decide, key=b"another")

    monkeypatch.setattr(module, "MOST_UNDER_WAY", 1)
    asyncio.run(run())


def test_what_is_found_is_left_out_and_put_back() -> None:
    parts = [["a", "b"], ["c"], [], ["d"]]
    found = {1: b"B", 2: b"C"}
    left: list[Any] = [*without(parts, found)]  # type: ignore[arg-type]
    assert left == [["a"], [], [], ["d"]]
    assert together([b"A", b"D"], found, 4) == [b"A", b"B", b"C", b"D"]
