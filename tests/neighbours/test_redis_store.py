"""The feature store in a real Redis, looked up by several batches at once."""

from __future__ import annotations

import asyncio

import pytest
import redis

from bench.architectures.feature_store import redis_server
from credit_risk.deciding.feature_store import Profile, pack
from credit_risk.deciding.redis_store import CURRENT, RedisStore, key_of
from tests.e2e.conftest import free_port

INCOME = {"income": (129.0, 0.0)}


@pytest.mark.usefixtures("redis_installed")
def test_batches_that_come_with_a_new_generation_all_find_their_customers() -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with redis_server(port), redis.Redis.from_url(url) as filled:
        filled.mset({CURRENT: "2", key_of("2", "C1"): pack(INCOME)})
        assert asyncio.run(look_up_at_once(url)) == [[Profile(INCOME)]] * 8


async def look_up_at_once(url: str) -> list[list[Profile | None]]:
    store = RedisStore(url, seconds=10)
    try:
        return await asyncio.gather(*(store.look_up(["C1"]) for _ in range(8)))
    finally:
        await store.close()
