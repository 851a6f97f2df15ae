"""Tables of applications as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from credit_risk.contract.application import CATEGORIES, NULLABLE
from credit_risk.contract.columns import CUSTOMER, REFERENCE, Columns
from credit_risk.contract.customer import Part
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.parts import ROWS, check_count, check_size, from_position

Cell = str | float | None

PART_ROWS = 100  # parsed in one go
MOST_OF_A_HEADER = 4096  # bytes
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def parse_csv(body: bytes, on_file: frozenset[str] | None) -> Iterator[Part]:
    """Parse CSV a part at a time. The first line names the columns; an empty cell is unknown.

    `on_file` is that of `parse_asked`.

    Raises InvalidRequestError with a detail for each fault of the columns, or of the first invalid row.
    """
    if len(body) > MOST_OF_A_HEADER and body.find(b"\n", 0, MOST_OF_A_HEADER) < 0:
        raise _refused("the first line must name the columns, and be shorter; keep the ends of lines")
    check_size(body, ROWS.whole)
    check_count(max(body.count(b"\n"), body.count(b"\r")) // 2)  # some lines may be empty
    # A byte order mark, as Excel writes it, is no part of the first name.
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline=""), strict=True)
    try:
        yield from _parse(lines, on_file)
    except UnicodeDecodeError:
        raise _refused("send CSV in UTF-8") from None
    except csv.Error as error:
        raise _refused(f"what ends in line {lines.line_num} is not CSV: {error}") from None


def _parse(lines: Iterator[list[str]], on_file: frozenset[str] | None) -> Iterator[Part]:
    names = next(lines, [])
    columns = Columns(names, on_file)
    readers = [_reader_of(name) for name in names]
    rows = (line for line in lines if line)  # pandas skips blank lines, too
    found = 0
    while part := list(islice(rows, PART_ROWS)):
        try:
            applications = columns.applications([_cells(readers, line) for line in part])
        except InvalidRequestError as error:
            for detail in error.detail:
                detail["msg"] = detail["msg"].replace("null", "an empty cell")
            raise from_position(error, found) from None
        found += len(applications)
        check_count(found)
        yield applications


def _cells(readers: Sequence[Callable[[str], Cell]], line: list[str]) -> Sequence[Cell]:
    if len(line) != len(readers):
        return line
    return [read(cell) for read, cell in zip(readers, line, strict=True)]


def _reader_of(name: str) -> Callable[[str], Cell]:
    if name in CATEGORIES or name in (CUSTOMER, REFERENCE):
        return str
    return _number_or_nothing if name in NULLABLE else _number


def _number_or_nothing(cell: str) -> Cell:
    return _number(cell) if cell else None


def _number(cell: str) -> Cell:
    """Read a number as JSON writes it. What is none stays a text, which the contract refuses."""
    return float(cell) if _NUMBER.fullmatch(cell) else cell


def _refused(message: str) -> InvalidRequestError:
    return InvalidRequestError("The body is not CSV", [Detail(loc=[], msg=message, type="csv_invalid")])
