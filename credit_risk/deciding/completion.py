"""Completes applications with what the lender has on file, or says why that is impossible."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.customer import Asked, CustomerApplication
from credit_risk.contract.errors import Detail, NotOnFileError, RequestError, UnavailableError
from credit_risk.contract.faults import summary
from credit_risk.contract.on_file import FieldOnFile, FieldsOnFile
from credit_risk.contract.refusals import NO_FILES
from credit_risk.deciding.feature_store import FeatureStore, Fields, Found, Profile, StoreError

_validate = CreditApplication.__pydantic_validator__.validate_python  # model_validate, without its way there
CLOCKS_APART = 300  # seconds that the clock of whoever filled the store may be ahead


class File(NamedTuple):
    """What was taken from the file of a customer."""

    customer: str
    source: str  # the store
    as_of: Mapping[float, list[str]]  # the fields that were taken, by their time (Unix seconds)
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
        completed: list[Completed | RequestError] = []
        for each in asked:
            if isinstance(each, CustomerApplication):
                there = found.get(each.customer)
                whole = self._complete_at_once(each, there, on_file, now)
                completed.append(whole or self._complete(each, there, on_file, now))
            else:
                completed.append(Completed.of(each))
        return completed

    def _complete_at_once(
        self, asked: CustomerApplication, found: Found, on_file: FieldsOnFile | None, now: float
    ) -> Completed | None:
        """Complete an application if everything on file is fresh and valid, as it mostly is."""
        if on_file is None or not isinstance(found, Profile) or not found.is_current:
            return None
        values: dict[str, Any] = {}
        for as_of, fields in found.values.items():
            if not -CLOCKS_APART <= now - as_of <= on_file.strictest_age(tuple(fields)):
                return None
            values |= fields
        try:
            application = _validate(values | asked.sent)
        except ValidationError:  # also if a field lacks
            return None
        lacking = asked.lacking
        if len(found.values) == 1:
            used = {as_of: lacking}
        else:
            times = {as_of: [name for name in lacking if name in fields] for as_of, fields in found.values.items()}
            used = {as_of: names for as_of, names in times.items() if names}
        return Completed(application, File(asked.customer, self.store.source, used))

    def _complete(
        self, asked: CustomerApplication, found: Found, on_file: FieldsOnFile | None, now: float
    ) -> Completed | RequestError:
        """Complete an application field by field, each by its own rule, or say what is wrong."""
        values = dict(asked.sent)
        as_of: dict[float, list[str]] = {}
        stale: list[str] = []
        missing: list[str] = []
        faults: dict[str, Fault] = {}
        fields, rules = found.fields if isinstance(found, Profile) else {}, on_file.fields if on_file else {}
        for name in asked.lacking:
            taken = take(name, found, fields, rules.get(name), now)
            if isinstance(taken, Fault):
                faults[name] = taken
                continue
            values[name] = taken.value
            if taken.as_of is None:
                missing.append(name)
                continue
            as_of.setdefault(taken.as_of, []).append(name)
            if taken.is_stale:
                stale.append(name)
        if faults and (isinstance(found, StoreError) or (found and not found.is_current)):
            return UnavailableError(NO_FILES)
        if not faults:
            try:
                file = File(asked.customer, self.store.source, as_of, tuple(stale), tuple(missing))
                return Completed(_validate(values), file)
            except ValidationError as error:
                faults = {str(fault["loc"][0]): INVALID for fault in error.errors(include_input=False)}
        details = [Detail(loc=[name], msg=fault.msg, type=fault.type) for name, fault in faults.items()]
        return NotOnFileError(summary(details, len(details)), details)


class Taken(NamedTuple):
    """A field as an application takes it from the file."""

    value: Any
    as_of: float | None  # None: there is no value that may be used, and it is null
    is_stale: bool = False


class Fault(NamedTuple):
    """Why a field can't be taken, as `Detail` says it."""

    msg: str
    type: str


MISSING = Taken(None, None)
UNKNOWN = Fault("not on file; send it", "not_on_file")
TOO_OLD = Fault("too old on file; send it, or load it anew", "too_old_on_file")
INVALID = Fault("not valid on file; send it, or load it anew", "invalid_on_file")


def take(name: str, found: Found, fields: Fields, rule: FieldOnFile | None, now: float) -> Taken | Fault:
    """Take a field from what was found, with these fields, or say what is wrong."""
    if rule is None:  # it was taken off the list since the application was parsed
        return UNKNOWN
    fault = UNKNOWN
    if isinstance(found, Profile):
        if not found.is_readable:
            return INVALID
        if name in fields:
            value, as_of = fields[name]
            age = now - as_of
            if age < -CLOCKS_APART:
                return INVALID
            if found.is_current and age <= rule.max_age:
                return Taken(value, as_of)
            if rule.stale_up_to is not None and age <= rule.stale_up_to:
                return Taken(value, as_of, is_stale=True)
            fault = TOO_OLD
    return MISSING if rule.otherwise == "missing" else fault
