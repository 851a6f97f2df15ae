"""What is on file, kept in memory for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from cachetools import LRUCache

from credit_risk.deciding.feature_store import FeatureStore, Found, Profile, StoreError


class _Kept(NamedTuple):
    """What the store said about a customer."""

    found: Profile | None
    until: float  # monotonic; how long it counts


class CachedStore:
    """A feature store in front of another.

    It keeps what was found, and who is unknown, for a number of seconds each. Batches that need the same customer at
    the same time share one look-up. While the store can't be asked, what it said last is told as not current.
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        size: int,
        seconds: float,
        unknown_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`size` is in customers. `unknown_seconds` is for those that are unknown, who may soon be loaded."""
        self.source = store.source
        self._store = store
        self._kept: LRUCache[str, _Kept] = LRUCache(size)
        self._seconds = seconds
        self._unknown_seconds = unknown_seconds
        self._clock = clock
        self._under_way: dict[str, asyncio.Future[dict[str, Found]]] = {}

    async def look_up(self, customers: Sequence[str]) -> list[Found]:
        found: dict[str, Found] = {}
        lacking: Sequence[str] = customers
        while lacking:
            new = self._take(lacking, found)
            if new:
                found |= await self._ask(new)
            others = {self._under_way[customer] for customer in lacking if customer in self._under_way}
            if others:
                await asyncio.wait(others)
                for other in others:
                    found |= other.result()  # nothing, if the batch that asked is gone
            lacking = [customer for customer in lacking if customer not in found]
        return [found[customer] for customer in customers]

    async def close(self) -> None:
        await self._store.close()

    def _take(self, customers: Sequence[str], found: dict[str, Found]) -> list[str]:
        """Take from memory what still counts. Gives the customers whom nobody has asked for yet."""
        now = self._clock()
        new = []
        for customer in dict.fromkeys(customers):
            kept = self._kept.get(customer)
            if kept is not None and now < kept.until:
                found[customer] = kept.found
            elif customer not in self._under_way:
                new.append(customer)
        return new

    async def _ask(self, customers: Sequence[str]) -> dict[str, Found]:
        """Ask the store, while others who need the same customers wait for what it says."""
        said: asyncio.Future[dict[str, Found]] = asyncio.get_running_loop().create_future()
        self._under_way.update(dict.fromkeys(customers, said))
        found: dict[str, Found] = {}
        try:
            found = await self._answer(customers)
        finally:
            for customer in customers:
                del self._under_way[customer]
            said.set_result(found)
        return found

    async def _answer(self, customers: Sequence[str]) -> dict[str, Found]:
        try:
            found = dict(zip(customers, await self._store.look_up(customers), strict=True))
        except StoreError as error:
            found = dict.fromkeys(customers, error)
        now = self._clock()
        for customer, profile in found.items():
            if isinstance(profile, StoreError):
                kept = self._kept.get(customer)
                if kept is not None and kept.found is not None:
                    found[customer] = kept.found._replace(is_current=False)
            else:
                seconds = self._unknown_seconds if profile is None else self._seconds
                self._kept[customer] = _Kept(profile, now + seconds)
        return found
