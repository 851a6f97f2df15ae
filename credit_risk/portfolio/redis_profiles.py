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
                before, new = self._current(), f"{time.time_ns():x}"
                writer = _Writer(self._redis, new, lock, before if update else "")
                yield writer
                current = before
                if writer.whole and update and before:
                    self._move(new, before, lock)
                elif writer.whole:
                    self._redis.set(CURRENT, new)
                    current = new
                self._forget_all_but(current, lock)
            finally:
                with suppress(LockError):  # it has expired
                    lock.release()

    def get(self, customer: str) -> Profile | None:
        with self._told():
            return unpack(self._redis.get(key_of(self._current(), customer)))

    def scan(self) -> Iterator[tuple[str, Profile]]:
        with self._told():
            start = key_of(self._current(), "")
            for some in self._keys(f"{start}*"):
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

    def _move(self, new: str, before: str, lock: Any) -> None:
        """Put the profiles of a new generation in the place of those before."""
        start = key_of(new, "")
        for some in self._keys(f"{start}*"):
            with self._redis.pipeline() as pipeline:
                for key in some:
                    pipeline.rename(key, key_of(before, key.decode().removeprefix(start)))
                pipeline.execute()
            lock.reacquire()

    def _keys(self, pattern: str) -> Iterator[list[bytes]]:
        """Give the keys that match, some at a time."""
        keys = self._redis.scan_iter(pattern, count=AT_ONCE)
        while some := list(islice(keys, AT_ONCE)):
            yield some

    def _forget_all_but(self, generation: str, lock: Any) -> None:
        """Remove the profiles of other generations, also of loads that died.

        Only whoever has the lock may, as another load would lose what it has written.
        """
        kept = (key_of(generation, "").encode(), CURRENT.encode(), LOCK.encode())
        for some in self._keys(f"{PREFIX}:*"):
            others = [key for key in some if not key.startswith(kept)]
            if others:
                self._redis.unlink(*others)
            lock.reacquire()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise DataError(f"{self.source} can't be used: {error}; check its address, password and TLS") from None


class _Writer:
    """Writes profiles of a new generation."""

    def __init__(self, client: Any, generation: str, lock: Any, before: str) -> None:
        """`before` is the generation to whose profiles fields are added; empty for none."""
        self.whole = False
        self._redis = client
        self._generation = generation
        self._lock = lock
        self._before = before

    def put(self, profiles: Mapping[str, Fields]) -> None:
        items = iter(profiles.items())
        while some := list(islice(items, AT_ONCE)):
            self._put(some)

    def _put(self, some: Sequence[tuple[str, Fields]]) -> None:
        keys = [key_of(self._generation, customer) for customer, _ in some]
        fields = [fields for _, fields in some]
        if self._before:
            before = self._redis.mget([key_of(self._before, customer) for customer, _ in some])
            written = self._redis.mget(keys)  # by a row above
            known = (unpack(own or old) for own, old in zip(written, before, strict=True))
            fields = [merged(old, new) for old, new in zip(known, fields, strict=True)]
        self._redis.mset(dict(zip(keys, map(pack, fields), strict=True)))
        self._lock.reacquire()
