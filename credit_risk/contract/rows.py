"""Rows of numbers in the order of a model's features, from the bytes of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import summary
from credit_risk.contract.parts import ROWS, check_size, parse_parts, parts_of

Row = list[float | None]  # null is unknown
MOST_TOKENS_OF_ROW = 500
NUMBER = "must be a number, without quotes, or null if it is unknown"
_SINGLE = re.compile(rb"[ \t\n\r]*\[[ \t\n\r]*[^\[\] \t\n\r]")
_Number = Annotated[float | None, Field(strict=True, allow_inf_nan=False)]
_rows: TypeAdapter[list[Row]] = TypeAdapter(Annotated[list[list[_Number]], FailFast()])


def is_single(body: bytes) -> bool:
    """Tell whether a body is one row, and not an array of rows."""
    return _SINGLE.match(body) is not None


def parse_row(body: bytes, names: Sequence[str]) -> Row:
    """Parse a JSON array of numbers, one for each name. Raises InvalidRequestError with a detail for each fault."""
    check_size(body, MOST_TOKENS_OF_ROW)
    try:
        [row] = parse_rows(b"[" + body + b"]", names)
    except InvalidRequestError as error:
        raise without_position(error) from None
    return row


def parse_rows_in_parts(body: bytes, names: Sequence[str]) -> Iterator[Sequence[Row]]:
    """Parse a JSON array of rows a part at a time, as `parse_rows` does."""
    parse = partial(parse_rows, names=names)
    return parse_parts(body, parts_of(body, b"]"), parse, parse, ROWS)


def parse_rows(body: bytes, names: Sequence[str]) -> list[Row]:
    """Parse a JSON array of rows. Raises InvalidRequestError with a detail for each fault of the first invalid one."""
    try:
        rows = _rows.validate_json(body)
    except ValidationError as error:
        raise _fault_error(body, names, error) from None
    for position, row in enumerate(rows):
        if len(row) != len(names):
            raise _length_error(position, len(row), names)
    return rows


def without_position(error: InvalidRequestError) -> InvalidRequestError:
    """Restate the error of a row that is alone."""
    for detail in error.detail:
        detail["loc"] = [key for key in detail["loc"] if isinstance(key, str)]
    about_features = any(detail["loc"] for detail in error.detail)
    return InvalidRequestError(summary(error.detail, len(error.detail)) if about_features else str(error), error.detail)


def _fault_error(body: bytes, names: Sequence[str], error: ValidationError) -> InvalidRequestError:
    """Translate what pydantic found wrong with rows."""
    faults = error.errors(include_url=False, include_input=False)
    kind, loc = faults[0]["type"], list(faults[0]["loc"])
    if kind == "json_invalid":
        where = faults[0]["msg"].removeprefix("Invalid JSON: ")
        return _body_error([], f"the body is not valid JSON ({where}); send {_wanted(names)}", kind)
    if kind == "list_type":
        return _body_error(loc, f"send {_wanted(names)}", kind)
    position: Any = loc[0]
    length = len(from_json(body)[position])
    if length != len(names):
        return _length_error(position, length, names)
    details = [Detail(loc=[position, names[int(fault["loc"][1])]], msg=NUMBER, type=fault["type"]) for fault in faults]
    return InvalidRequestError(summary(details, len(details)), details)


def _length_error(position: int, length: int, names: Sequence[str]) -> InvalidRequestError:
    return _body_error([position], f"has {length} numbers; send {_wanted(names)}", "row_length")


def _body_error(loc: list[str | int], message: str, kind: str) -> InvalidRequestError:
    return InvalidRequestError(
        "The body is not rows of the model's features", [Detail(loc=loc, msg=message, type=kind)]
    )


def _wanted(names: Sequence[str]) -> str:
    return f"{len(names)} numbers in each row, in the order of the features in /model-card.json"
