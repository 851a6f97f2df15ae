from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.synchronize import Event

import pytest

from credit_risk.contract.errors import LimitedError
from credit_risk.serving.limits import SIZE, Limits

OFFSET = 4096


@pytest.fixture
def file() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        os.truncate(file.fileno(), OFFSET + SIZE)
        yield file.fileno()


def taken(limits: Limits, caller: str, per_second: int, now: float, times: int) -> list[int | str]:
    """What is left after each request, or when to come back."""
    found: list[int | str] = []
    for _ in range(times):
        try:
            found.append(limits.take(caller, per_second, now).left)
        except LimitedError as error:
            found.append(error.headers["retry-after"])
    return found


def test_a_second_has_so_many_requests(file: int) -> None:
    limits = Limits(file, OFFSET)
    assert taken(limits, "bank", 4, 100.0, 6) == [3, 2, 1, 0, "1", "1"]
    assert taken(limits, "shop", 4, 100.0, 1) == [3]  # each caller has its own
    assert taken(limits, "bank", 4, 100.25, 2) == [0, "1"]  # a quarter of a second pays for one
    assert taken(limits, "bank", 4, 200.0, 5) == [3, 2, 1, 0, "1"]  # a long wait pays for a second's at most


def count(descriptor: int, admitted: multiprocessing.Queue[int]) -> None:
    limits = Limits(descriptor, OFFSET)
    admitted.put(sum(isinstance(left, int) for left in taken(limits, "bank", 1000, 100.0, 2000)))


def test_workers_count_together(file: int) -> None:
    context = multiprocessing.get_context("fork")
    admitted: multiprocessing.Queue[int] = context.Queue()
    workers = [context.Process(target=count, args=(file, admitted)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert sum(admitted.get(timeout=60) for _ in workers) == 1000
    for worker in workers:
        worker.join()


def hold(descriptor: int, holds: Event) -> None:
    with Limits(descriptor, OFFSET).batch("bank", 2):
        holds.set()
        multiprocessing.Event().wait(60)


def test_batches_are_counted_over_workers_and_given_back_by_one_that_is_killed(file: int) -> None:
    context = multiprocessing.get_context("fork")
    limits, holds = Limits(file, OFFSET), context.Event()
    worker = context.Process(target=hold, args=(file, holds))
    worker.start()
    assert holds.wait(60)
    with ExitStack() as ours:
        ours.enter_context(limits.batch("bank", 2))
        with pytest.raises(LimitedError, match="at most 2 batches at a time"):
            ours.enter_context(limits.batch("bank", 2))
        ours.enter_context(limits.batch("shop", 1))
        worker.kill()
        worker.join()
        ours.enter_context(limits.batch("bank", 2))
    with limits.batch("bank", 1):
        pass


def test_callers_whose_names_meet_in_a_row_are_told_apart(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_risk.serving.limits.ROWS", 2)
    limits, other = Limits(file, OFFSET), Limits(file, OFFSET)
    assert taken(limits, "bank", 1, 100.0, 2) == [0, "1"]
    assert taken(limits, "shop", 1, 100.0, 2) == [0, "1"]
    assert taken(other, "shop", 1, 100.0, 1) == taken(other, "bank", 1, 100.0, 1) == ["1"]
