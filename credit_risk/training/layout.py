"""How a CSV file is laid out: what separates its cells, and which columns it has."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from credit_risk.contract.application import FIELDS
from credit_risk.contract.errors import DataError

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written, where it differs from the public one."""

    separator: str = "comma"  # a name in SEPARATORS
    default_is: str | None = None  # the status that means default, if there are two statuses of other names


PUBLIC_LAYOUT = Layout()


def rows_of(content: bytes, name: str, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a file that are not empty, each with the number of the line where it ends."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=SEPARATORS[layout.separator])
    line = 0
    try:
        for row in reader:
            line = reader.line_num
            if row:
                yield line, row
    except csv.Error as error:
        raise DataError(f"{name} is not CSV from line {line + 1} on: {error}; is a quote left open?") from None
    except UnicodeDecodeError:
        raise DataError(f"{name} is not UTF-8 text; save it as CSV in UTF-8") from None


def header_of(names: list[str], path: str, layout: Layout) -> list[str]:
    """Give the names of the columns. Raises DataError if they can't be used."""
    header = [name.strip().lower() for name in names]
    absent = [field for field in ("status", *FIELDS) if field not in header]
    if absent:
        raise DataError(f"{path} lacks the {columns_named(absent)}; {_advice(header, layout)}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the {columns_named(twice)} more than once; keep one")
    return header


def _advice(header: list[str], layout: Layout) -> str:
    """Say how to name the columns, or how they are separated if that is not as expected."""
    line = SEPARATORS[layout.separator].join(header)
    for name, separator in SEPARATORS.items():
        if {"status", *FIELDS} <= {cell.strip(' "') for cell in line.split(separator)}:
            return f"they are there, but separated otherwise: say --separator {name}"
    return f"its first line must name them, separated by a {layout.separator} (or say --separator)"


def columns_named(names: Sequence[str]) -> str:
    """Name one column or several."""
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}"
