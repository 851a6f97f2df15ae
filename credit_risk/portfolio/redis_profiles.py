"""Fill and read the profiles of a feature store in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import redis
from redis.exceptions import LockError, RedisError

from credit_risk.contract.errors import DataError
from credit_risk.deciding.feature_store import Fields, Profile, pack, unpack
from credit_risk.deciding.redis_store import CURRENT, PREFIX, key_of, without_credentials
from credit_risk.portfolio.stores import merged

AT_ONCE = 1000  # keys in one command
LOCK = f"{PREFIX}:loading"
LOCK_SECONDS = 60.0  # that a lock outlives a load that died
CONNECT_SECONDS = 5.0


class RedisProfiles:
    """The profiles in a Redis. Whoever replaces them makes a new generation, and at the end lets that one count."""

    def __init__(self, url: str) -> None:
        self.source = without_credentials(url)
        self._redis: Any = redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS)

    @contextmanager
    def writing(self, *, update: bool) -> Iterator[_Writer]:
        with self._told():
            lock = self._redis.lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
            if not lock.acquire():
                raise DataError(f"somebody else is loading {self.source} now; wait until that is done")
            try:
                current = self._current()
                generation = current if update and current else f"{time.time_ns():x}"
                writer = _Writer(self._redis, generation, lock, update=update)
                yield writer
                if writer.whole:
                    self._redis.set(CURRENT, generation)
                self._forget_all_but(generation if writer.whole or update else current)
            finally:
                with suppress(LockError):  # it has expired
                    lock.release()

    def get(self, customer: str) -> Profile | None:
        with self._told():
            return unpack(self._redis.get(key_of(self._current(), customer)))

    def scan(self) -> Iterator[tuple[str, Profile]]:
        with self._told():
            start = key_of(self._current(), "")
            keys = self._redis.scan_iter(f"{start}*", count=AT_ONCE)
            while some := list(islice(keys, AT_ONCE)):
                for key, packed in zip(some, self._redis.mget(some), strict=True):
                    profile = unpack(packed)
                    if profile is not None:  # it may have gone since
                        yield key.decode().removeprefix(start), profile

    def count(self) -> int:
        with self._told():
            return int(self._redis.dbsize())

    def _current(self) -> str:
        current = self._redis.get(CURRENT)
        return current.decode() if current else ""

    def _forget_all_but(self, generation: str) -> None:
        """Remove the profiles of other generations, also of loads that died."""
        kept = (key_of(generation, "").encode(), CURRENT.encode(), LOCK.encode())
        keys = (key for key in self._redis.scan_iter(f"{PREFIX}:*", count=AT_ONCE) if not key.startswith(kept))
        while some := list(islice(keys, AT_ONCE)):
            self._redis.unlink(*some)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise DataError(f"{self.source} can't be used: {error}; check its address, password and TLS") from None


class _Writer:
    """Writes profiles of one generation."""

    def __init__(self, client: Any, generation: str, lock: Any, *, update: bool) -> None:
        self.whole = False
        self._redis = client
        self._generation = generation
        self._lock = lock
        self._update = update

    def put(self, profiles: Mapping[str, Fields]) -> None:
        items = iter(profiles.items())
        while some := list(islice(items, AT_ONCE)):
            self._put(some)

    def _put(self, some: Sequence[tuple[str, Fields]]) -> None:
        keys = [key_of(self._generation, customer) for customer, _ in some]
        fields = [fields for _, fields in some]
        if self._update:
            before = map(unpack, self._redis.mget(keys))
            fields = [merged(old, new) for old, new in zip(before, fields, strict=True)]
        self._redis.mset(dict(zip(keys, map(pack, fields), strict=True)))
        self._lock.reacquire()
