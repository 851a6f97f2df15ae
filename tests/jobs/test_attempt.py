"""When a message is sent again, and when no more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.jobs.attempt import PERIOD, Attempt, next_attempt

FIRST = 1_800_000_000.0
FAILED = Attempt(time=FIRST, seconds=0.5, status=500, fault="The receiver failed or refused (status 500)")


def times(chances: list[float], failure: Attempt = FAILED) -> list[float]:
    """When attempts are made, counted from the first, if all fail the same."""
    attempts = [failure]
    while (due := next_attempt(attempts, lambda: chances[len(attempts) % len(chances)])) is not None:
        attempts.append(failure.model_copy(update={"time": due}))
    return [attempt.time - FIRST for attempt in attempts]


def test_the_waits_grow_to_six_hours_over_a_day() -> None:
    waits = [later - earlier - FAILED.seconds for earlier, later in pairwise(times([0.5]))]
    assert waits[:-1] == [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600]
    assert sum(waits) + len(waits) * FAILED.seconds == PERIOD


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_whatever_the_chance_the_last_attempt_is_made_a_day_after_the_first(chances: list[float]) -> None:
    made = times(chances)
    assert made == sorted(made)
    assert made[-1] == PERIOD
    assert 8 <= len(made) <= 16


def test_chance_makes_a_wait_up_to_half_shorter_or_longer() -> None:
    assert (next_attempt([FAILED], lambda: 0.0), next_attempt([FAILED], lambda: 1.0)) == (FIRST + 3, FIRST + 8)


@pytest.mark.parametrize(("asked", "waited"), [(0, 5), (4, 5), (600, 600), (2 * PERIOD, PERIOD - 0.5)])
def test_a_receiver_may_ask_for_a_longer_wait_up_to_the_last_attempt(asked: float, waited: float) -> None:
    attempt = FAILED.model_copy(update={"retry_after": asked})
    assert next_attempt([attempt], lambda: 0.5) == FIRST + 0.5 + waited


def test_an_attempt_that_comes_late_is_the_last() -> None:
    late = FAILED.model_copy(update={"time": FIRST + 3 * PERIOD})
    assert next_attempt([FAILED, late]) is None


def test_nothing_follows_a_final_attempt() -> None:
    assert next_attempt([FAILED, FAILED.model_copy(update={"final": True})]) is None


def test_an_attempt_fits_in_a_json_document() -> None:
    assert Attempt.model_validate_json(FAILED.model_dump_json()) == FAILED
