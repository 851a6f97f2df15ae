"""From the bytes of a request to applications. Parsing is strict, and every fault is named with its fix."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.contract.customer import Asked, CustomerApplication, form_of
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH, TOO_LONG, fault_error, missing, summary

PART_BYTES = 16_384  # parsed in one go: some 80 applications, a fifth of a millisecond
MOST_TOKENS = 500  # an application has 13
MOST_TOKENS_OF_A_PART = 4_000  # a part has about 1,000
MOST_TOKENS_OF_A_BATCH = 200_000
_ARRAY_START = re.compile(rb"[ \t\n\r]*\[[ \t\n\r]*")
_CUSTOMER = b'"customer"'
_BETWEEN = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*(?=\{)")

_applications = TypeAdapter(Annotated[list[CreditApplication], Field(max_length=MAX_BATCH), FailFast()])


def parse_asked(body: bytes, on_file: frozenset[str]) -> Asked:
    """Parse a JSON object as one application, which may name a customer and leave out the fields that are on file.

    Raises InvalidRequestError with a detail for each fault.
    """
    if _CUSTOMER not in body:
        return parse_application(body)
    _check_size(body, MOST_TOKENS)
    try:
        form = form_of(on_file).model_validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    asked = _asked([form])
    if body.count(b":") != len(form.model_fields_set):
        _refuse_duplicates(body)
    return asked[0]


def parse_application(body: bytes) -> CreditApplication:
    """Parse a JSON object as one application. Raises InvalidRequestError with a detail for each fault."""
    _check_size(body, MOST_TOKENS)
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


def parse_all_asked(body: bytes, on_file: frozenset[str]) -> Sequence[Asked]:
    """Parse a JSON array of applications, which may name customers and leave out the fields that are on file.

    Raises InvalidRequestError as `parse_applications` does.
    """
    if _CUSTOMER not in body:
        return parse_applications(body)
    try:
        forms = _forms(on_file).validate_json(body)
    except ValidationError as error:
        raise fault_error(body, error) from None
    asked = _asked(forms, first=0)
    if body.count(b":") != sum(len(form.model_fields_set) for form in forms):
        _refuse_duplicates(body)
    return asked


def parse_in_parts(body: bytes, on_file: frozenset[str] | None = None) -> Iterator[Sequence[Asked]]:
    """Parse a JSON array of applications a part at a time, so that the caller can do other work in between.

    `on_file` are the fields that an application with a customer may leave out; without it, none may name one. Raises
    InvalidRequestError as `parse_applications` does.
    """
    parse = parse_applications if on_file is None else partial(parse_all_asked, on_file=on_file)
    found = 0
    for part in _split(body):
        try:
            _check_size(part, MOST_TOKENS_OF_A_PART)
            applications = parse(part)
        except InvalidRequestError as error:
            if error.detail[0]["type"] == "json_invalid" and _tokens(body) <= MOST_TOKENS_OF_A_BATCH:
                # Raises the same error with the line and column in the whole body, unless a customer's id looks like
                # the end of an application.
                yield parse(body)[found:]
                return
            raise _from_position(error, found) from None
        found += len(applications)
        if found > MAX_BATCH:
            raise InvalidRequestError("Too many applications", [Detail(loc=[], msg=TOO_LONG, type="too_long")])
        yield applications


def _check_size(body: bytes, most_tokens: int) -> None:
    """Refuse what holds so much that even to say what is wrong with it would take seconds and gigabytes."""
    if _tokens(body) > most_tokens:
        detail = Detail(
            loc=[], msg=f"send the {len(FIELDS)} fields of an application, and nothing else", type="too_long"
        )
        raise InvalidRequestError("The body is not a credit application", [detail])


def _tokens(body: bytes) -> int:
    """Count what separates and opens values. An application has 13 of these, whatever its layout."""
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def _from_position(error: InvalidRequestError, first: int) -> InvalidRequestError:
    """Restate the error of a part that begins at position `first` of the whole."""
    for detail in error.detail:
        if detail["loc"] and isinstance(detail["loc"][0], int):
            detail["loc"][0] += first
    return InvalidRequestError(summary(error.detail, len(error.detail)), error.detail)


def _split(body: bytes) -> Iterator[bytes]:
    """Split a JSON array of applications into arrays of about PART_BYTES each.

    An application is flat, and no allowed key or value contains a brace, so in a valid array each closing brace ends an
    application. If the array is invalid, one of its parts is invalid too.
    """
    start = _ARRAY_START.match(body)
    if start is None:
        yield body
        return
    position = start.end()
    while (brace := body.find(b"}", position + PART_BYTES)) >= 0:
        between = _BETWEEN.match(body, brace + 1)
        if between is None:
            break
        yield b"[" + body[position : brace + 1] + b"]"
        position = between.end()
    yield b"[" + body[position:]


@cache
def _forms(on_file: frozenset[str]) -> TypeAdapter[list[Any]]:
    form: Any = form_of(on_file)
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


def _refuse_duplicates(body: bytes) -> None:
    """Refuse the first application in which a key is given twice. There is none if a customer's id has a colon."""
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
