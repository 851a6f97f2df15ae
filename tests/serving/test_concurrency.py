from __future__ import annotations

from collections import deque
from time import perf_counter

import pytest

from credit_risk.serving.concurrency import AIM, LEAST, WINDOW, ConcurrencyLimit

MAX_LATENCY = 0.5


def overloaded(
    limit: ConcurrencyLimit, *, per_second: float, callers: int, seconds: float
) -> list[tuple[float, float]]:
    """Let so many callers ask again as soon as they are answered or refused, by a worker that answers in turn."""
    begun_at = now = perf_counter()
    answers = []
    under_way: deque[float] = deque()
    outside = callers
    while now < begun_at + seconds:
        while outside and not limit.is_reached():
            limit.begun()
            under_way.append(now)
            outside -= 1
        begun = under_way.popleft()
        is_late = now - begun > MAX_LATENCY  # the runner refuses it
        now += 0 if is_late else 1 / per_second
        limit.ended(now - begun, now, is_refused=is_late)
        outside += 1
        if not is_late:
            answers.append((now - begun_at, now - begun))
    return answers


@pytest.mark.parametrize("per_second", [100, 5_000])
@pytest.mark.parametrize("callers", [300, 50_000])
def test_under_any_overload_requests_are_answered_in_time_and_at_full_rate(per_second: int, callers: int) -> None:
    limit = ConcurrencyLimit(2_000, MAX_LATENCY)
    settling, seconds = 1.0, 4.0
    answers = overloaded(limit, per_second=per_second, callers=callers, seconds=settling + seconds)
    settled = [took for when, took in answers if when > settling]
    assert max(settled) <= MAX_LATENCY
    assert len(settled) >= 0.99 * per_second * seconds


def test_what_is_answered_in_time_is_not_limited() -> None:
    limit = ConcurrencyLimit(2000, MAX_LATENCY)
    for number in range(1000):
        limit.begun()
        limit.ended(AIM * MAX_LATENCY, perf_counter() + number * WINDOW)
    assert limit.limit == 2000


def test_after_an_overload_there_is_no_limit() -> None:
    limit = ConcurrencyLimit(2000, MAX_LATENCY)
    overloaded(limit, per_second=100, callers=2000, seconds=60)
    assert limit.limit < 100
    for number in range(5):
        limit.begun()
        limit.ended(0.001, perf_counter() + 3600 + 2 * number * WINDOW)
    assert limit.limit == 2000


def test_some_are_always_let_in() -> None:
    limit = ConcurrencyLimit(2000, MAX_LATENCY)
    overloaded(limit, per_second=10, callers=2000, seconds=10)
    assert limit.limit == LEAST
    assert not ConcurrencyLimit(1, MAX_LATENCY).is_reached()
