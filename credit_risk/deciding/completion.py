"""Completes applications with what the lender has on file, or says why that is impossible."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.customer import Asked, CustomerApplication
from credit_risk.contract.errors import NO_FILES, Detail, NotOnFileError, RequestError, UnavailableError
from credit_risk.contract.faults import summary
from credit_risk.contract.on_file import FieldOnFile, FieldsOnFile
from credit_risk.deciding.feature_store import FeatureStore, Found, Profile, StoreError

CLOCKS_APART = 300  # seconds that the clock of whoever filled the store may be ahead


class File(NamedTuple):
    """What was taken from the file of a customer."""

    customer: str
    source: str  # the store
    as_of: Mapping[str, float]  # of the fields that were taken; Unix seconds
    stale: tuple[str, ...] = ()  # those among them that were older than they should be
    missing: tuple[str, ...] = ()  # fields that were decided without, as null


class Completed(NamedTuple):
    """A whole application, and what of it came from the file."""

    application: CreditApplication
    file: File | None

    @classmethod
    def of(cls, whole: CreditApplication | Completed) -> Completed:
        """Take an application that lacks nothing as it is."""
        return whole if isinstance(whole, Completed) else cls(whole, None)


Case = Asked | Completed


class Completer(Protocol):
    """Makes applications whole."""

    async def complete(self, asked: Sequence[Case], on_file: FieldsOnFile | None) -> list[Completed | RequestError]:
        """Complete applications, in order. One that can't be completed gets an error of its own."""


class Completion:
    """Completes the applications of a batch with one look-up."""

    def __init__(self, store: FeatureStore, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._clock = clock

    async def complete(self, asked: Sequence[Case], on_file: FieldsOnFile | None) -> list[Completed | RequestError]:
        customers = list(
            dict.fromkeys(each.customer for each in asked if isinstance(each, CustomerApplication) and each.lacking)
        )
        found: dict[str, Found] = {}
        if customers:
            try:
                found = dict(zip(customers, await self.store.look_up(customers), strict=True))
            except StoreError as error:
                found = dict.fromkeys(customers, error)
        now = self._clock()
        rules = on_file.fields if on_file else {}
        return [
            self._complete(each, found.get(each.customer), rules, now)
            if isinstance(each, CustomerApplication)
            else Completed.of(each)
            for each in asked
        ]

    def _complete(
        self, asked: CustomerApplication, found: Found, rules: Mapping[str, FieldOnFile], now: float
    ) -> Completed | RequestError:
        values, as_of = dict(asked.sent), {}
        stale: list[str] = []
        missing: list[str] = []
        faults: dict[str, _Fault] = {}
        for name in asked.lacking:
            taken = _take(name, found, rules.get(name), now)
            if isinstance(taken, _Fault):
                faults[name] = taken
                continue
            values[name] = taken.value
            if taken.as_of is None:
                missing.append(name)
                continue
            as_of[name] = taken.as_of
            if taken.is_stale:
                stale.append(name)
        if faults and (isinstance(found, StoreError) or (found and not found.is_current)):
            return UnavailableError(NO_FILES)
        if not faults:
            try:
                application = CreditApplication.model_validate(values)
                return Completed(
                    application, File(asked.customer, self.store.source, as_of, tuple(stale), tuple(missing))
                )
            except ValidationError as error:
                faults = {str(fault["loc"][0]): INVALID for fault in error.errors(include_input=False)}
        details = [Detail(loc=[name], msg=fault.msg, type=fault.type) for name, fault in faults.items()]
        return NotOnFileError(summary(details, len(details)), details)


class _Taken(NamedTuple):
    value: Any
    as_of: float | None  # None: there is no value that may be used, and it is null
    is_stale: bool = False


class _Fault(NamedTuple):
    """Why a field can't be taken, as `Detail` says it."""

    msg: str
    type: str


MISSING = _Taken(None, None)
UNKNOWN = _Fault("not on file; send it", "not_on_file")
TOO_OLD = _Fault("too old on file; send it, or load it anew", "too_old_on_file")
INVALID = _Fault("not valid on file; send it, or load it anew", "invalid_on_file")


def _take(name: str, found: Found, rule: FieldOnFile | None, now: float) -> _Taken | _Fault:
    """Take a field from what was found, or say what is wrong."""
    if rule is None:  # it was taken off the list since the application was parsed
        return UNKNOWN
    fault = UNKNOWN
    if isinstance(found, Profile):
        if not found.is_readable:
            return INVALID
        if name in found.fields:
            value, as_of = found.fields[name]
            age = now - as_of
            if age < -CLOCKS_APART:
                return INVALID
            if found.is_current and age <= rule.max_age:
                return _Taken(value, as_of)
            if rule.stale_up_to is not None and age <= rule.stale_up_to:
                return _Taken(value, as_of, is_stale=True)
            fault = TOO_OLD
    return MISSING if rule.otherwise == "missing" else fault
