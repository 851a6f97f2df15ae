"""Tables of applications as pandas writes them: `orient="records"`, `orient="split"`, or CSV.

They are parsed without pandas, which would take more memory than the rest of the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Never

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from credit_risk.contract.columns import Columns
from credit_risk.contract.csv_table import parse_csv
from credit_risk.contract.customer import Part
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.parsing import parse_in_parts
from credit_risk.contract.parts import ROWS, check_size, parse_parts, parts_of, tokens

_SPACE = b" \t\n\r"
FORMS = 'send a table as pandas writes it with orient="records" or orient="split" (columns, then data), or as CSV'
_START = re.compile(rb"[ \t\n\r]*([^ \t\n\r])")
_DATA = re.compile(rb'"data"[ \t\n\r]*:[ \t\n\r]*\[')


class _Head(BaseModel):
    """What comes before the rows of a table with `orient="split"`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    columns: list[str]
    index: list[Any] | None = None
    data: Annotated[list[Any], Field(max_length=0)]


def parse_table(body: bytes, on_file: frozenset[str] | None = None) -> Iterator[Part]:
    """Parse a table a part at a time, so that the caller can do other work in between.

    What it holds tells how it is written, whatever its content type says. `on_file` is that of `parse_asked`.

    Raises InvalidRequestError with a detail for each fault of the columns, or of the first invalid row.
    """
    start = _START.match(body)
    if start is None:
        raise _refused("the body is empty; " + FORMS, "json_invalid")
    if start[1] == b"[":
        return parse_in_parts(body, on_file)
    return _parse_split(body, on_file) if start[1] == b"{" else parse_csv(body, on_file)


def _parse_split(body: bytes, on_file: frozenset[str] | None) -> Iterator[Part]:
    found = _DATA.search(body)  # a key, because within a text its quotation marks are escaped
    whole = body.rstrip(_SPACE)
    if found is None or not whole.endswith(b"}"):
        _refuse_object(body)
    head = body[: found.end()]
    check_size(head, ROWS.whole)
    try:
        columns = Columns(_Head.model_validate_json(head + b"]}").columns, on_file)
    except ValidationError:
        _refuse_object(body)
    if head.count(b'"columns"') > 1:
        raise _refused("columns is given more than once; send it once", "duplicate_key")

    rows = b"[" + whole[found.end() : -1]

    def parse(part: bytes) -> Sequence[Any]:
        try:
            items = from_json(part)
        except ValueError:
            raise _refused(FORMS, "json_invalid") from None
        if not all(isinstance(item, list) for item in items):
            raise _refused("send each row of data as an array of cells", "list_type")
        return columns.applications(items)

    def parse_whole(_: bytes) -> Sequence[Any]:
        try:
            return parse(rows)
        except InvalidRequestError as error:
            if error.detail[0]["type"] == "json_invalid":
                _refuse_object(body)
            raise

    yield from parse_parts(body, parts_of(rows, b"]"), parse, parse_whole, ROWS)


def _refuse_object(body: bytes) -> Never:
    """Refuse what is no table, or no JSON."""
    if tokens(body) <= ROWS.whole:
        try:
            from_json(body)
        except ValueError as error:
            raise _refused(f"the body is not valid JSON ({error}); {FORMS}", "json_invalid") from None
    raise _refused(FORMS, "table_type")


def _refused(message: str, kind: str) -> InvalidRequestError:
    return InvalidRequestError("The body is not a table of applications", [Detail(loc=[], msg=message, type=kind)])
