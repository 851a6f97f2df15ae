"""The feature store in a real Redis, looked up by several batches at once."""

from __future__ import annotations

import asyncio

import redis

from credit_risk.deciding.feature_store import Profile, pack
from credit_risk.deciding.redis_store import CURRENT, RedisStore, key_of
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
