"""What is wrong with a body, told to its sender: the field, the fix, and never the value."""

from __future__ import annotations

import difflib
from typing import Any, Final

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from credit_risk.contract.application import CATEGORIES, FIELDS, NULLABLE, CreditApplication
from credit_risk.contract.customer import LONGEST
from credit_risk.contract.errors import Detail, InvalidRequestError, RequestError

MAX_BATCH = 10_000  # applications in one request; send more in several
TOO_LONG = f"send at most {MAX_BATCH} applications in a request"
MAX_DETAILS = 100  # faults listed in one answer
WRAPPED: Final = "wrapped"  # an object around the application


def fault_error(body: bytes, error: ValidationError) -> InvalidRequestError:
    """Translate what pydantic found wrong with a body."""
    if not body.strip():
        message = "the body is empty; send the application as a JSON object"
        return InvalidRequestError("The body is empty", [Detail(loc=[], msg=message, type="json_invalid")])
    faults = _unwrapped(error.errors(include_url=False))
    if any(fault["type"] == "extra_forbidden" and fault["loc"][-1] == "customer" for fault in faults):
        faults = [fault for fault in faults if fault["type"] != "missing"]  # they were left to the file
    details = [_detail(fault) for fault in faults[:MAX_DETAILS]]
    return InvalidRequestError(summary(details, len(faults)), details)


def summary(details: list[Detail], faults: int) -> str:
    """Say in one line how many faults there are, in which application of a batch, and in which fields."""
    located = [detail["loc"] for detail in details if detail["loc"]]
    if not located:
        return "The body is not a credit application"
    position = located[0][0]
    which = "application"
    if isinstance(position, int):
        which = f"application at position {position}, the first that is refused"
    fields = list(dict.fromkeys(str(loc[-1]) for loc in located if isinstance(loc[-1], str)))
    shown = fields[:5] if len(fields) <= 5 else [*fields[:5], "..."]
    named = f": {', '.join(shown)}" if fields else ""
    return f"{faults} {'fault' if faults == 1 else 'faults'} in the {which}{named}"


def located(error: Exception, position: int) -> Exception:
    """Restate an error about one application as one about the application at this position of a batch."""
    if not isinstance(error, RequestError) or not error.detail:
        return error
    details = [Detail(loc=[position, *fault["loc"]], msg=fault["msg"], type=fault["type"]) for fault in error.detail]
    return type(error)(summary(details, len(details)), details)


def missing(loc: list[str | int]) -> Detail:
    """Say that a field is missing."""
    return Detail(loc=loc, msg=_field_message(str(loc[-1]), "missing"), type="missing")


def extra(name: str) -> Detail:
    """Say that this is no field."""
    name = name[:64]  # this is the sender's text, not ours
    return Detail(loc=[name], msg=_field_message(name, "extra_forbidden"), type="extra_forbidden")


def _unwrapped(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Keep one fault of an application that comes wrapped, as in `{"credit_application": {...}}`."""
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    objects = [fault["input"] for fault in faults if fault["type"] == "missing"]
    if len(unknown) == 1 and objects and len(objects[0]) == 1 and _holds_fields(unknown[0]["input"]):
        return [ErrorDetails(type=WRAPPED, loc=unknown[0]["loc"], msg="", input=None)]
    return faults


def _holds_fields(value: object) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint(FIELDS)


def _detail(fault: ErrorDetails) -> Detail:
    loc = list(fault["loc"])
    field = loc[-1] if loc and isinstance(loc[-1], str) else None
    kind = fault["type"]
    if field is None:
        return Detail(loc=loc, msg=_body_message(fault), type=kind)
    if kind in ("extra_forbidden", WRAPPED):
        loc[-1] = field = field[:64]  # this is the sender's text, not ours
    elif field in FIELDS and field not in NULLABLE:
        kind = _kind_of_whole_number(fault)
    return Detail(loc=loc, msg=_field_message(field, kind), type=kind)


def _kind_of_whole_number(fault: ErrorDetails) -> str:
    """Name a fault of a whole number as such, although its schema reads a float first."""
    kind, value = fault["type"], fault["input"]
    if kind == "finite_number" and isinstance(value, int):  # more digits than a float can hold
        return "less_than_equal" if value > 0 else "greater_than_equal"
    return "int_type" if kind in ("float_type", "finite_number", "int_from_float") else kind


def _body_message(fault: ErrorDetails) -> str:
    """Say what to do about a body, or an item of a batch, that is not an application at all."""
    match fault["type"]:
        case "json_invalid":
            where = fault["msg"].removeprefix("Invalid JSON: ")
            return f"the body is not valid JSON ({where}); send JSON in UTF-8"
        case "list_type":
            return "send a JSON array of applications; a single one goes to /classify"
        case "too_long":
            return TOO_LONG
        case _:
            fields = ", ".join(FIELDS)
            return f"send the application as a JSON object of the fields {fields}; a list goes to /classify_batch"


def _field_message(field: str, kind: str) -> str:
    match kind:
        case "extra_forbidden" if field == "customer":
            return "this service has no fields on file; remove it, and send all fields"
        case _ if kind != "extra_forbidden" and field in ("customer", "reference"):
            return f"must be a text of 1 to {LONGEST} printable characters"
        case "missing":
            return "required; send null if it is unknown" if field in NULLABLE else "required; send it"
        case "extra_forbidden":
            return f"not a field of an application; {_did_you_mean(field)}remove it"
        case "wrapped":
            return "send the fields themselves, without this object around them"
        case "literal_error":
            return f"must be exactly one of {', '.join(CATEGORIES[field])}"
        case "int_type":
            return f"must be a whole number from {_low(field)} to {_high(field)}, without quotes or a decimal point"
        case "less_than_equal" if field in NULLABLE:
            return f"must be at most {_high(field)}; a missing value is null here, never a code such as a row of nines"
        case _ if field in NULLABLE:
            return f"must be a number from {_low(field)} to {_high(field)}, without quotes, or null if it is unknown"
        case _:
            return f"must be a whole number from {_low(field)} to {_high(field)}, without quotes"


def _did_you_mean(word: str) -> str:
    near = difflib.get_close_matches(word.strip().lower(), FIELDS, n=1)
    return f"send it as {near[0]}, or " if near else ""


def _low(field: str) -> int:
    return int(_bound(field, Ge).ge)


def _high(field: str) -> int:
    return int(_bound(field, Le).le)


def _bound(field: str, kind: type[Ge] | type[Le]) -> Any:
    return next(m for m in CreditApplication.model_fields[field].metadata if isinstance(m, kind))
