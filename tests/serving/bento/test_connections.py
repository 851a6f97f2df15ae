from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from time import perf_counter

import psutil
import pytest

from credit_risk.contract.errors import RequestError
from credit_risk.serving.bento.connections import (
    LINGER_SECONDS,
    MOST_HELD,
    MOST_UNSENT,
    READ_SECONDS,
    SEND_SECONDS,
    SPARE_DESCRIPTORS,
    Connections,
    most_connections,
)


class Caller:
    """A connection that knows what became of it."""

    def __init__(self) -> None:
        self.became = "open"

    def close(self) -> None:
        self.became = "closed"

    def give_up(self, error: RequestError) -> None:
        self.became = f"given up with {int(error.status)}"


def on_a_loop(scenario: Callable[[Connections], None], limit: int = 3) -> None:
    async def run() -> None:
        scenario(Connections(limit, lambda *_: None))

    asyncio.run(run())


def opened(guard: Connections, count: int) -> list[Caller]:
    callers = [Caller() for _ in range(count)]
    for caller in callers:
        assert guard.opened(caller)
    return callers


def test_the_one_that_has_waited_longest_gives_way_to_a_new_one() -> None:
    def scenario(guard: Connections) -> None:
        first, second, third = opened(guard, 3)
        for caller in (first, second):
            guard.asked(caller)
            guard.answered_all(caller)
        opened(guard, 1)
        assert [caller.became for caller in (first, second, third)] == ["open", "open", "closed"]  # it never asked
        opened(guard, 1)
        assert (first.became, second.became) == ("open", "open")  # the fourth never asked either

    on_a_loop(scenario)


def test_idle_ones_give_way_in_the_order_of_their_last_answers() -> None:
    def scenario(guard: Connections) -> None:
        first, second, third = callers = opened(guard, 3)
        for caller in (*callers, first):
            guard.asked(caller)
            guard.answered_all(caller)
        opened(guard, 1)
        assert [caller.became for caller in (first, second, third)] == ["open", "closed", "open"]

    on_a_loop(scenario)


def test_whoever_has_a_request_under_way_gives_way_to_nobody() -> None:
    def scenario(guard: Connections) -> None:
        callers = opened(guard, 3)
        for caller in callers:
            guard.asked(caller)
        assert not guard.opened(Caller())
        guard.sweep(perf_counter() + 1000)
        assert {caller.became for caller in callers} == {"open"}
        guard.lost(callers[0])
        assert guard.opened(Caller())

    on_a_loop(scenario)


@pytest.mark.parametrize(
    ("wait", "seconds", "becomes"),
    [
        (lambda _guard, _caller: None, READ_SECONDS, "given up with 408"),
        (lambda guard, caller: (guard.asked(caller), guard.awaited(caller)), READ_SECONDS, "given up with 408"),
        (lambda guard, caller: (guard.asked(caller), guard.answered_all(caller)), 5.0, "closed"),
        (lambda guard, caller: (guard.asked(caller), guard.lingers(caller)), LINGER_SECONDS, "closed"),
        (lambda guard, caller: (guard.asked(caller), guard.unsent(caller, 10)), SEND_SECONDS, "closed"),
    ],
    ids=["head", "body", "idle", "lingering", "unsent"],
)
def test_each_wait_has_an_end(wait: Callable[[Connections, Caller], object], seconds: float, becomes: str) -> None:
    def scenario(guard: Connections) -> None:
        [caller] = opened(guard, 1)
        wait(guard, caller)
        guard.sweep(perf_counter() + seconds - 1)
        assert caller.became == "open"
        guard.sweep(perf_counter() + seconds + 1)
        assert caller.became == becomes

    on_a_loop(scenario)


def test_a_part_of_a_head_starts_the_clock_of_the_head() -> None:
    def scenario(guard: Connections) -> None:
        guard.keep_alive = 75.0
        [caller] = opened(guard, 1)
        guard.asked(caller)
        guard.answered_all(caller)
        guard.begun(caller)
        guard.sweep(perf_counter() + READ_SECONDS + 1)
        assert caller.became == "given up with 408"

    on_a_loop(scenario)


def test_an_answer_that_is_not_taken_is_not_cut_short_by_the_end_of_keep_alive() -> None:
    def scenario(guard: Connections) -> None:
        [caller] = opened(guard, 1)
        guard.asked(caller)
        guard.unsent(caller, 10)
        guard.answered_all(caller)
        guard.sweep(perf_counter() + 6)
        assert caller.became == "open"
        guard.sent(caller)
        guard.sweep(perf_counter() + 6)
        assert caller.became == "closed"

    on_a_loop(scenario)


def test_what_is_held_for_all_together_is_bounded() -> None:
    def scenario(guard: Connections) -> None:
        first, second = opened(guard, 2)
        guard.holds(first, MOST_HELD // 2)
        guard.holds(second, MOST_HELD // 2)
        assert (first.became, second.became) == ("open", "open")
        guard.holds(second, 1)
        assert (first.became, second.became) == ("given up with 503", "open")
        guard.finished(second)
        [third] = opened(guard, 1)
        guard.holds(third, MOST_HELD)
        assert (second.became, third.became) == ("open", "open")

    on_a_loop(scenario)


def test_what_is_not_taken_by_all_together_is_bounded() -> None:
    def scenario(guard: Connections) -> None:
        first, second = opened(guard, 2)
        guard.unsent(first, MOST_UNSENT)
        guard.unsent(first, MOST_UNSENT)  # it still waits
        assert first.became == "open"
        guard.unsent(second, 1)
        assert (first.became, second.became) == ("closed", "open")

    on_a_loop(scenario)


def test_there_are_no_more_connections_than_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "num_fds", lambda _: 40)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    assert most_connections(4000) == 64 - 40 - SPARE_DESCRIPTORS
    assert most_connections(2) == 2
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert most_connections(4000) == 4000
