"""The breaker in front of another machine."""

from __future__ import annotations

import asyncio

import pytest

from credit_risk.deciding.breaker import Breaker, OpenError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: Breaker, error: type[BaseException] = OSError) -> None:
    with pytest.raises(error), breaker.guard():
        raise error


def succeed(breaker: Breaker) -> None:
    with breaker.guard():
        pass


def refuses(breaker: Breaker) -> bool:
    try:
        succeed(breaker)
    except OpenError:
        return True
    return False


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker("the store", failures=3, clock=Clock())
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open
    assert refuses(breaker)


def test_one_call_tries_after_a_pause_while_the_others_are_refused() -> None:
    clock = Clock()
    breaker = Breaker("the store", failures=1, pause=1, clock=clock)
    fail(breaker)
    clock.now += 1
    with breaker.guard():
        assert refuses(breaker)
    assert not refuses(breaker)
    assert not breaker.is_open


def test_a_try_that_fails_begins_another_pause() -> None:
    clock = Clock()
    breaker = Breaker("the store", failures=1, pause=1, clock=clock)
    fail(breaker)
    clock.now += 1
    fail(breaker)
    clock.now += 0.9
    assert refuses(breaker)
    clock.now += 0.1
    assert not refuses(breaker)


def test_the_log_tells_when_it_opens_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    breaker = Breaker("the store", failures=2, pause=1, clock=clock)
    caplog.set_level("INFO")
    for _ in range(3):
        fail(breaker)
        clock.now += 1
    succeed(breaker)
    succeed(breaker)
    assert caplog.messages == ["the store fails, and is only tried now and then: OSError", "the store answers again"]


def test_a_cancelled_try_leaves_room_for_the_next() -> None:
    clock = Clock()
    breaker = Breaker("the store", failures=1, pause=1, clock=clock)
    fail(breaker)
    clock.now += 1
    fail(breaker, asyncio.CancelledError)
    assert breaker.is_open
    clock.now += 1
    assert not refuses(breaker)
