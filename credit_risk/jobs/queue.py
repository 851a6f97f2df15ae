"""The queue of jobs: huey, which carries nothing but their ids. What a job is stands in the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from huey import RedisHuey, SqliteHuey
from huey.api import Huey
from huey.registry import Message
from huey.serializer import Serializer

from credit_risk.jobs.store import translating

NAME = "credit_risk"
TASK = "run"
TIMEOUT_SECONDS = 5.0
SQLITE, REDIS = "sqlite:///", ("redis://", "rediss://")


class _Ids(Serializer):  # type: ignore[misc] # huey has no types
    """Writes a task as the id of its job, instead of a pickle."""

    def _serialize(self, data: Any) -> bytes:
        return cast("str", data.args[0]).encode()

    def _deserialize(self, data: bytes) -> Message:
        job_id = data.decode()
        return Message(id=job_id, name=f"{__name__}.{TASK}", args=(job_id,), kwargs={}, retries=0, retry_delay=0)


class Queue:
    """Ids of jobs that are to be run, in the order in which they came. An id may come twice, or be lost."""

    def __init__(self, address: str) -> None:
        """`address` is `sqlite:///FILE` or that of a Redis."""
        options: dict[str, Any] = {"serializer": _Ids(), "results": False, "utc": True}
        if address.startswith(SQLITE):
            self.huey: Huey = SqliteHuey(NAME, filename=address.removeprefix(SQLITE), fsync=True, **options)
        else:
            import redis

            bounds = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
            pool = redis.ConnectionPool.from_url(address, **bounds)
            self.huey = RedisHuey(NAME, connection_pool=pool, read_timeout=1, **options)
        self._run: Callable[[str], None] = _nothing
        self._task = self.huey.task(name=TASK)(self._started)

    def put(self, job_id: str) -> None:
        """Put a job into the queue. Raises StoreError if it does not answer."""
        with translating(Exception, "the queue of jobs"):
            self._task(job_id)

    def run_with(self, run: Callable[[str], None]) -> None:
        """Name what runs a job in this process."""
        self._run = run

    def _started(self, job_id: str) -> None:
        self._run(job_id)


def _nothing(job_id: str) -> None:
    raise NotImplementedError(f"this process runs no jobs, so not {job_id}")
