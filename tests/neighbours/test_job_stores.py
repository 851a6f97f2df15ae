"""Jobs are kept in a real Redis as in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from credit_risk.jobs.redis_store import RedisJobs
from credit_risk.jobs.store import JobStore, StoreError
from tests.jobs.stores import CHECKS
from tests.redis_server import Redis, redis_server


@pytest.fixture
def server() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_store_in_redis(server: Redis, check: Callable[[JobStore], None]) -> None:
    store = RedisJobs(server.url)
    check(store)
    store.leave()


def test_a_redis_that_is_gone_is_told(server: Redis) -> None:
    store = RedisJobs(server.url)
    server.kill()
    with pytest.raises(StoreError, match="the jobs' Redis does not answer: ConnectionError"):
        store.figures()
