"""From the bytes of a request to applications. Parsing is strict, and every fault is named with its fix."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.contract.customer import Asked, CustomerApplication, Part, Referenced, form_of
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH, fault_error, missing, summary
from credit_risk.contract.parts import OBJECTS, check_size, parse_parts, parts_of

MOST_TOKENS = 500  # an application has 13
_CUSTOMER = b'"customer"'
_REFERENCE = b'"reference"'

_applications = TypeAdapter(Annotated[list[CreditApplication], Field(max_length=MAX_BATCH), FailFast()])


def parse_asked(body: bytes, on_file: frozenset[str] | None = None) -> Asked | Referenced:
    """Parse a JSON object as one application, which may have a reference.

    `on_file` are the fields that it may leave out if it names a customer; without it, it may name none. Raises
    InvalidRequestError with a detail for each fault.
    """
    referenced = _REFERENCE in body
    if not referenced and (on_file is None or _CUSTOMER not in body):
        return parse_application(body)
    check_size(body, MOST_TOKENS)
    try:
        form: Any = form_of(on_file, referenced=referenced).model_validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    asked = _asked([form])
    if body.count(b":") != len(form.model_fields_set):
        _refuse_duplicates(body)
    return Referenced(asked[0], form.reference) if referenced else asked[0]


def parse_application(body: bytes) -> CreditApplication:
    """Parse a JSON object as one application. Raises InvalidRequestError with a detail for each fault."""
    check_size(body, MOST_TOKENS)
    try:
        application = CreditApplication.model_validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    # JSON parsers silently take the last of two equal keys. A valid application has one colon for each field, and no
    # allowed key or value contains one, so more colons than fields mean that a key was given twice.
    if body.count(b":") != len(FIELDS):
        _refuse_duplicates(body)
    return application


def parse_applications(body: bytes) -> list[CreditApplication]:
    """Parse a JSON array of applications, in order.

    Raises InvalidRequestError with a detail for each fault of the first invalid application, up to MAX_DETAILS.
    """
    try:
        applications = _applications.validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    if body.count(b":") != len(FIELDS) * len(applications):
        _refuse_duplicates(body)
    return applications


def parse_all_asked(body: bytes, on_file: frozenset[str] | None) -> Part:
    """Parse a JSON array of applications, each as `parse_asked` does.

    Raises InvalidRequestError as `parse_applications` does.
    """
    referenced = _REFERENCE in body
    if not referenced and (on_file is None or _CUSTOMER not in body):
        return parse_applications(body)
    try:
        forms = _forms(on_file, referenced=referenced).validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    asked = _asked(forms, first=0)
    if body.count(b":") != sum(len(form.model_fields_set) for form in forms):
        _refuse_duplicates(body)
    return _with_references(asked, forms) if referenced else asked


def check_applications(items: Sequence[Mapping[str, object]], on_file: frozenset[str] | None) -> Part:
    """Make applications of the rows of a table. Raises InvalidRequestError as `parse_applications` does.

    `on_file` is that of `parse_asked`.
    """
    names = items[0] if items else {}
    referenced = "reference" in names
    try:
        if not referenced and "customer" not in names:
            return _applications.validate_python(items)
        forms = _forms(on_file, referenced=referenced).validate_python(items)
        asked = _asked(forms, first=0)
        return _with_references(asked, forms) if referenced else asked
    except ValidationError as error:
        raise fault_error(b"[]", error) from None


def parse_in_parts(body: bytes, on_file: frozenset[str] | None = None) -> Iterator[Part]:
    """Parse a JSON array of applications a part at a time, so that the caller can do other work in between.

    `on_file` is that of `parse_asked`. Raises InvalidRequestError as `parse_applications` does.
    """
    parse: Callable[[bytes], Sequence[Any]] = partial(parse_all_asked, on_file=on_file)
    return parse_parts(body, parts_of(body), parse, parse, OBJECTS)


@cache
def _forms(on_file: frozenset[str] | None, *, referenced: bool) -> TypeAdapter[list[Any]]:
    form: Any = form_of(on_file, referenced=referenced)
    return TypeAdapter(Annotated[list[form], Field(max_length=MAX_BATCH), FailFast()])


def _asked(forms: Sequence[Any], first: int | None = None) -> list[Asked]:
    """Tell applications that name a customer from those that are whole. `first` is the position of the first."""
    asked: list[Asked] = []
    for position, form in enumerate(forms, first or 0):
        values, sent = form.__dict__, form.model_fields_set
        fields = {name: values[name] for name in FIELDS if name in sent}
        if "customer" in sent:
            asked.append(CustomerApplication.of(values["customer"], fields))
        elif len(fields) == len(FIELDS):
            asked.append(CreditApplication.model_construct(**fields))
        else:
            where = [] if first is None else [position]
            details = [missing([*where, name]) for name in FIELDS if name not in sent]
            raise InvalidRequestError(summary(details, len(details)), details)
    return asked


def _with_references(asked: Sequence[Asked], forms: Sequence[Any]) -> list[Referenced]:
    return [Referenced(each, form.reference) for each, form in zip(asked, forms, strict=True)]


def _refuse_duplicates(body: bytes) -> None:
    """Refuse the first application in which a key is given twice. There is none if an id of the lender has a colon."""
    parsed = json.loads(body, object_pairs_hook=list)
    is_single = body.lstrip().startswith(b"{")
    objects = [parsed] if is_single else parsed
    twice = [[key for key, times in Counter(key for key, _ in pairs).items() if times > 1] for pairs in objects]
    first = next((position for position, keys in enumerate(twice) if keys), None)
    if first is None:
        return
    where: list[str | int] = [] if is_single else [first]
    message = "given more than once; send it once"
    details = [Detail(loc=[*where, key], msg=message, type="duplicate_key") for key in twice[first]]
    raise InvalidRequestError(summary(details, len(details)), details)
