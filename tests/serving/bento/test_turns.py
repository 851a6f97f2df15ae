from __future__ import annotations

import asyncio
import time
from time import perf_counter

from credit_risk.serving.bento.turns import Turns


def test_what_comes_while_the_loop_is_idle_has_not_waited() -> None:
    async def run() -> None:
        turns = Turns()
        for _ in range(3):
            await asyncio.sleep(0.02)
            before = perf_counter()
            assert turns.seen() >= before

    asyncio.run(run())


def test_what_is_seen_after_a_long_turn_may_have_waited_for_all_of_it() -> None:
    async def run() -> None:
        turns = Turns()
        turns.seen()
        await asyncio.sleep(0)  # the turn is over for what reads, and goes on for what answers
        busy_since = perf_counter()
        time.sleep(0.05)
        turns.answered(perf_counter())
        assert turns.seen() <= busy_since

    asyncio.run(run())


def test_all_that_is_seen_in_one_turn_may_have_waited_as_long() -> None:
    async def run() -> None:
        turns = Turns()
        first = turns.seen()
        time.sleep(0.01)
        assert turns.seen() == first

    asyncio.run(run())


def test_an_answer_that_was_waited_for_does_not_make_the_turn_long() -> None:
    async def run() -> None:
        turns = Turns()
        turns.seen()
        await asyncio.sleep(0.15)
        answered = perf_counter()
        turns.answered(answered)
        assert turns.seen() >= answered

    asyncio.run(run())
