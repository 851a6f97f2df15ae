"""The feature store in a real Redis, looked up by several batches at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from credit_risk.deciding.feature_store import Profile, pack
from credit_risk.deciding.redis_store import CURRENT, RedisStore, key_of
from credit_risk.portfolio import redis_profiles
from credit_risk.portfolio.redis_profiles import LOCK, RedisProfiles
from tests.redis_server import redis_server

INCOME = {"income": (129.0, 0.0)}


def test_batches_that_come_with_a_new_generation_all_find_their_customers() -> None:
    with redis_server() as server:
        with redis.Redis.from_url(server.url) as filled:
            filled.mset({CURRENT: "2", key_of("2", "C1"): pack(INCOME)})
        assert asyncio.run(look_up_at_once(server.url)) == [[Profile.of(INCOME)]] * 8


async def look_up_at_once(url: str) -> list[list[Profile | None]]:
    store = RedisStore(url, seconds=10)
    try:
        return await asyncio.gather(*(store.look_up(["C1"]) for _ in range(8)))
    finally:
        await store.close()


def test_a_load_keeps_its_lock_while_it_removes_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_profiles, "AT_ONCE", 1)
    with redis_server() as server, redis.Redis.from_url(server.url) as client:
        profiles = RedisProfiles(server.url)
        for number in range(2):
            left: list[Any] = []
            with profiles.writing(update=False) as writer:
                writer.put({f"C-{each}": {"income": (129.0, float(number))} for each in range(5)})
                writer.whole = True
                unlink = profiles._redis.unlink

                def slowly(*keys: Any, unlink: Any = unlink, left: list[Any] = left) -> Any:
                    left.append(client.pttl(LOCK))
                    client.pexpire(LOCK, 1000)  # as if to remove them had taken nearly as long as a lock lives
                    return unlink(*keys)

                monkeypatch.setattr(profiles._redis, "unlink", slowly)
        assert len(left) == 5
        assert min(left) > 1000
