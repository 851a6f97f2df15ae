"""The seam between decisions and what the lender has on file: a batch of customers in, their profiles out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic_core import from_json, to_json

Fields = Mapping[str, tuple[Any, float]]  # by name: the value, and as of when (Unix seconds)


class Profile(NamedTuple):
    """What is on file about a customer."""

    values: dict[float, dict[str, Any]]  # by when they were so (Unix seconds): values by field; a field is there once
    is_current: bool = True  # if not, the store said so earlier and can't be asked now
    is_readable: bool = True  # if not, nobody knows what is on file

    @classmethod
    def of(cls, fields: Fields) -> Profile:
        """Make a profile of fields with their times."""
        values: dict[float, dict[str, Any]] = {}
        for name, (value, as_of) in fields.items():
            values.setdefault(as_of, {})[name] = value
        return cls(values)

    @property
    def fields(self) -> Fields:
        """All fields with their times."""
        return {name: (value, as_of) for as_of, values in self.values.items() for name, value in values.items()}


class StoreError(Exception):
    """The store can't be asked now. The text says why, for the service's own log."""


Found = Profile | None | StoreError


class FeatureStore(Protocol):
    """Looks up what is on file, here or on another machine."""

    source: str  # names the store on record and in logs, without credentials

    async def look_up(self, customers: Sequence[str]) -> Sequence[Found]:
        """Look customers up, in order; None stands for one that is unknown.

        A customer who could not be looked up gets an error in their place. Raises StoreError if none could be.
        """

    async def close(self) -> None:
        """Give up connections and files."""


def pack(fields: Fields) -> bytes:
    """Write what is on file about a customer as JSON: `[[1763769600.0, {"income": 129.0, "job": "fixed"}]]`."""
    return to_json(list(Profile.of(fields).values.items()))


def unpack(packed: bytes | None) -> Profile | None:
    """Read what is on file about a customer. What can't be read gives a profile that says so."""
    if packed is None:
        return None
    try:
        values = dict(from_json(packed))
        if all(type(as_of) in (float, int) and type(fields) is dict for as_of, fields in values.items()):
            return Profile(values)
    except (ValueError, TypeError):
        pass
    return Profile({}, is_readable=False)


class FakeFeatureStore:
    """A store for tests. It knows these customers, or raises `error` if one is set."""

    source = "fake"

    def __init__(self, profiles: Mapping[str, Fields]) -> None:
        self.profiles = dict(profiles)
        self.error: StoreError | None = None
        self.calls: list[list[str]] = []  # customers of each look-up

    async def look_up(self, customers: Sequence[str]) -> list[Found]:
        self.calls.append(list(customers))
        if self.error is not None:
            raise self.error
        found = [self.profiles.get(customer) for customer in customers]
        return [None if fields is None else Profile.of(fields) for fields in found]

    async def close(self) -> None:
        pass
