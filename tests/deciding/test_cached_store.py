"""The cache in front of a feature store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from credit_risk.deciding.cached_store import CachedStore
from credit_risk.deciding.feature_store import FakeFeatureStore, Found, Profile, StoreError

INCOME = {"income": (129.0, 1.0)}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowStore(FakeFeatureStore):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__({"A": INCOME, "B": INCOME})
        self.may_answer = asyncio.Event()

    async def look_up(self, customers: Sequence[str]) -> list[Found]:
        found = await super().look_up(customers)
        await self.may_answer.wait()
        return found


def cached(store: FakeFeatureStore, clock: Clock | None = None, size: int = 10) -> CachedStore:
    return CachedStore(store, size=size, seconds=60, unknown_seconds=5, clock=clock or Clock())


def look_up(cache: CachedStore, *customers: str) -> list[Found]:
    return asyncio.run(cache.look_up(customers))


def test_what_is_kept_is_not_asked_for_until_it_expires() -> None:
    store, clock = FakeFeatureStore({"A": INCOME}), Clock()
    cache = cached(store, clock)
    assert look_up(cache, "A", "A") == [Profile.of(INCOME)] * 2
    clock.now = 59.9
    assert look_up(cache, "A") == [Profile.of(INCOME)]
    assert store.calls == [["A"]]
    clock.now = 60
    store.profiles["A"] = {"income": (130.0, 2.0)}
    assert look_up(cache, "A") == [Profile.of({"income": (130.0, 2.0)})]


def test_who_is_unknown_is_kept_for_a_shorter_time() -> None:
    store, clock = FakeFeatureStore({}), Clock()
    cache = cached(store, clock)
    assert look_up(cache, "A") == [None]
    store.profiles["A"] = INCOME
    clock.now = 4.9
    assert look_up(cache, "A") == [None]
    clock.now = 5
    assert look_up(cache, "A") == [Profile.of(INCOME)]


def test_only_what_is_not_kept_is_asked_for() -> None:
    store = FakeFeatureStore({"A": INCOME, "B": INCOME})
    cache = cached(store)
    look_up(cache, "A")
    assert look_up(cache, "B", "A", "C") == [Profile.of(INCOME), Profile.of(INCOME), None]
    assert store.calls == [["A"], ["B", "C"]]


def test_it_is_bounded() -> None:
    store = FakeFeatureStore(dict.fromkeys(map(str, range(20)), INCOME))
    cache = cached(store, size=10)
    look_up(cache, *map(str, range(20)))
    look_up(cache, *map(str, range(20)))
    assert len(store.calls[1]) == 10


def test_batches_that_need_the_same_customer_share_a_look_up() -> None:
    async def run() -> list[list[Found]]:
        batches = [asyncio.create_task(cache.look_up(customers)) for customers in (["A"], ["A", "B"], ["B", "A"])]
        await asyncio.sleep(0)
        store.may_answer.set()
        return await asyncio.gather(*batches)

    store = SlowStore()
    cache = cached(store)
    assert [len(found) for found in asyncio.run(run())] == [1, 2, 2]
    assert store.calls == [["A"], ["B"]]


def test_when_the_batch_that_asks_is_gone_the_next_one_asks() -> None:
    async def run() -> list[Found]:
        first = asyncio.create_task(cache.look_up(["A"]))
        await asyncio.sleep(0)
        second = asyncio.create_task(cache.look_up(["A"]))
        await asyncio.sleep(0)
        first.cancel()
        store.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    store = SlowStore()
    cache = cached(store)
    assert asyncio.run(run()) == [Profile.of(INCOME)]
    assert store.calls == [["A"], ["A"]]


def test_while_the_store_is_down_what_it_said_is_told_as_not_current() -> None:
    store, clock = FakeFeatureStore({"A": INCOME}), Clock()
    cache = cached(store, clock)
    look_up(cache, "A", "B")
    store.error = StoreError("gone")
    assert look_up(cache, "A", "B") == [Profile.of(INCOME), None]  # it still counts
    clock.now = 60
    kept, unknown, new = look_up(cache, "A", "B", "C")
    assert kept == Profile.of(INCOME)._replace(is_current=False)
    assert isinstance(unknown, StoreError)
    assert isinstance(new, StoreError)
    store.error = None
    assert look_up(cache, "A", "B") == [Profile.of(INCOME), None]


def test_an_error_of_another_kind_is_not_kept() -> None:
    class Faulty(FakeFeatureStore):
        async def look_up(self, customers: Sequence[str]) -> list[Found]:
            if not self.calls:
                self.calls.append([])
                raise KeyError
            return await super().look_up(customers)

    cache = cached(Faulty({"A": INCOME}))
    with pytest.raises(KeyError):
        look_up(cache, "A")
    assert look_up(cache, "A") == [Profile.of(INCOME)]
