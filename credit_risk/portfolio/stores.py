"""Fill and read a feature store as a whole, as commands do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from credit_risk.deciding.feature_store import Fields, Profile


class Writer(Protocol):
    """Fills a store. What was written counts at the end, if `whole` was set by then."""

    whole: bool

    def put(self, profiles: Mapping[str, Fields]) -> None:
        """Write profiles by customer."""


class Store(Protocol):
    """A store as a whole."""

    source: str  # without credentials

    def writing(self, *, update: bool) -> AbstractContextManager[Writer]:
        """Begin to replace everything, or to add to what is there. Raises DataError if somebody else does so now."""

    def get(self, customer: str) -> Profile | None:
        """Look one customer up."""

    def scan(self) -> Iterator[tuple[str, Profile]]:
        """Give all customers, in any order."""

    def count(self) -> int:
        """Count the customers, or estimate how many there are."""


def merged(old: Profile | None, new: Fields) -> Fields:
    """Add fields to a profile. What is newer counts, and of two equally old the one that is added."""
    kept: dict[str, tuple[Any, float]] = dict(old.fields) if old else {}
    for name, (value, as_of) in new.items():
        if name not in kept or kept[name][1] <= as_of:
            kept[name] = value, as_of
    return kept
