"""From the bytes of a request to applications: strict, and every fault named with its fix, no value echoed."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Never, get_args

from annotated_types import Ge, Le
from pydantic import FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.contract.errors import Detail, InvalidRequestError

MAX_BATCH = 10_000  # applications in one request; more belong in several
PART_BYTES = 16_384  # parsed in one go: some 80 applications, a fifth of a millisecond
_ARRAY_START = re.compile(rb"[ \t\n\r]*\[[ \t\n\r]*")
_BETWEEN = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*(?=\{)")
_TOO_LONG = f"send at most {MAX_BATCH} applications in a request"
MAX_DETAILS = 100  # faults listed in one answer

_applications = TypeAdapter(Annotated[list[CreditApplication], Field(max_length=MAX_BATCH), FailFast()])


def parse_application(body: bytes) -> CreditApplication:
    """The application in a JSON object.

    Raises InvalidRequestError with a detail for each fault.
    """
    try:
        application = CreditApplication.model_validate_json(body)
    except ValidationError as error:
        _refuse(body, error)
    # The last of two equal keys wins in JSON parsers, in silence. Each key of a valid application needs one colon, and
    # none of its allowed keys and values holds another, so more colons than fields mean that a key came twice.
    if body.count(b":") != len(FIELDS):
        _refuse_duplicates(body)
    return application


def parse_applications(body: bytes) -> list[CreditApplication]:
    """The applications in a JSON array, in order.

    Raises InvalidRequestError with a detail for each fault of the first application that has any, up to MAX_DETAILS.
    """
    try:
        applications = _applications.validate_json(body)
    except ValidationError as error:
        _refuse(body, error)
    if body.count(b":") != len(FIELDS) * len(applications):
        _refuse_duplicates(body)
    return applications


def parse_in_parts(body: bytes) -> Iterator[list[CreditApplication]]:
    """The applications in a JSON array, some at a time, so that the caller can do other things in between.

    Raises InvalidRequestError as `parse_applications` does.
    """
    found = 0
    for part in _split(body):
        try:
            applications = parse_applications(part)
        except InvalidRequestError as error:
            if error.detail[0]["type"] == "json_invalid":
                parse_applications(body)  # refuses it too, with the line and column in the whole
            raise _from_position(error, found) from None
        found += len(applications)
        if found > MAX_BATCH:
            raise InvalidRequestError("Too many applications", [Detail(loc=[], msg=_TOO_LONG, type="too_long")])
        yield applications


def _from_position(error: InvalidRequestError, first: int) -> InvalidRequestError:
    """The same error of a part that begins at this position of the whole."""
    for detail in error.detail:
        if detail["loc"] and isinstance(detail["loc"][0], int):
            detail["loc"][0] += first
    return InvalidRequestError(_summary(error.detail, len(error.detail)), error.detail)


def _split(body: bytes) -> Iterator[bytes]:
    """A JSON array of applications as several, of about PART_BYTES each.

    An application is flat, and none of its allowed keys and values holds a brace: in a valid array, each closing brace
    ends an application. What is not valid is so in one of the parts as well.
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


def _refuse(body: bytes, error: ValidationError) -> Never:
    if not body.strip():
        message = "the body is empty; send the application as a JSON object"
        raise InvalidRequestError("The body is empty", [Detail(loc=[], msg=message, type="json_invalid")]) from None
    faults = error.errors(include_url=False, include_input=False)
    details = [_detail(fault) for fault in faults[:MAX_DETAILS]]
    raise InvalidRequestError(_summary(details, len(faults)), details) from None


def _summary(details: list[Detail], faults: int) -> str:
    located = [detail["loc"] for detail in details if detail["loc"]]
    if not located:
        return "The body is not a credit application"
    which = f"application at position {located[0][0]}, the first that is refused" * isinstance(located[0][0], int)
    fields = list(dict.fromkeys(str(loc[-1]) for loc in located if isinstance(loc[-1], str)))
    named = ": " * bool(fields) + ", ".join(fields[:5]) + ", ..." * (len(fields) > 5)
    return f"{faults} fault{'s' * (faults > 1)} in the {which or 'application'}{named}"


def _detail(fault: ErrorDetails) -> Detail:
    loc = list(fault["loc"])
    field = loc[-1] if loc and isinstance(loc[-1], str) else None
    if field is None:
        return Detail(loc=loc, msg=_body_message(fault), type=fault["type"])
    if fault["type"] == "extra_forbidden":
        loc[-1] = field = field[:64]  # the caller's text, not one of ours
    return Detail(loc=loc, msg=_field_message(field, fault), type=fault["type"])


def _body_message(fault: ErrorDetails) -> str:
    """What to do about a body, or an item of a batch, that is not an application at all."""
    match fault["type"]:
        case "json_invalid":
            where = fault["msg"].removeprefix("Invalid JSON: ")
            return f"the body is not valid JSON ({where}); send JSON in UTF-8"
        case "list_type":
            return "send a JSON array of applications; a single one goes to /classify"
        case "too_long":
            return _TOO_LONG
        case _:
            fields = ", ".join(FIELDS)
            return f"send the application as a JSON object of the fields {fields}; a list goes to /classify_batch"


def _field_message(field: str, fault: ErrorDetails) -> str:
    match fault["type"]:
        case "missing":
            return "required; send null if it is unknown" if _nullable(field) else "required; send it"
        case "extra_forbidden":
            return f"not a field of an application; {_did_you_mean(field, FIELDS)}remove it"
        case "literal_error":
            allowed = get_args(CreditApplication.model_fields[field].annotation)
            return f"must be exactly one of {', '.join(allowed)}"
        case "int_type":
            return f"must be a whole number from {_low(field)} to {_high(field)}, without quotes or a decimal point"
        case "less_than_equal" if _nullable(field):
            return f"must be at most {_high(field)}; a missing value is null here, never a code such as a row of nines"
        case _:
            or_null = ", or null if it is unknown" if _nullable(field) else ""
            number = "number" if _nullable(field) else "whole number"
            return f"must be a {number} from {_low(field)} to {_high(field)}, without quotes{or_null}"


def _did_you_mean(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word.strip().lower(), known, n=1)
    return f"send it as {near[0]}, or " if near else ""


def _nullable(field: str) -> bool:
    return type(None) in get_args(CreditApplication.model_fields[field].annotation)


def _bound(field: str, kind: type[Ge] | type[Le]) -> Any:
    return next(m for m in CreditApplication.model_fields[field].metadata if isinstance(m, kind))


def _low(field: str) -> int:
    return int(_bound(field, Ge).ge)


def _high(field: str) -> int:
    return int(_bound(field, Le).le)


def _refuse_duplicates(body: bytes) -> Never:
    """Refuse the first application in which a key comes twice; there is one."""
    parsed = json.loads(body, object_pairs_hook=list)
    objects = [parsed] if body.lstrip().startswith(b"{") else parsed
    twice = [[key for key, times in Counter(key for key, _ in pairs).items() if times > 1] for pairs in objects]
    first = next(position for position, keys in enumerate(twice) if keys)
    where: list[str | int] = [] if objects is not parsed else [first]
    message = "given more than once; send it once"
    details = [Detail(loc=[*where, key], msg=message, type="duplicate_key") for key in twice[first]]
    raise InvalidRequestError(_summary(details, len(details)), details)
