"""Read files of what the lender has on file: a customer on a row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from credit_risk.contract.customer import CUSTOMER, LONGEST
from credit_risk.contract.errors import DataError
from credit_risk.deciding.completion import CLOCKS_APART
from credit_risk.deciding.feature_store import Fields
from credit_risk.portfolio.blocks import (
    Block,
    Report,
    check_columns,
    check_suffixes,
    csv_blocks,
    parquet_blocks,
    reading,
)
from credit_risk.portfolio.checking import Reject, check_cell, fault_of_cell
from credit_risk.portfolio.readers import Object, ndjson_lines

ROWS_AT_ONCE = 10_000


class Profiles(NamedTuple):
    """What some rows of a file say."""

    fields: dict[str, Fields]  # by customer; the last row of a customer counts
    rejects: list[Reject]


def read_profiles(path: Path, on_file: frozenset[str], as_of: datetime, report: Report) -> Iterator[Profiles]:
    """Read a .csv, .ndjson or .parquet file with the column `customer`, and of the fields on file those that it has.

    A column `as_of` tells when a row was so; where it is empty or lacks, `as_of` counts. An empty cell says nothing.
    Raises DataError with one sentence if the file as a whole can't be used.
    """
    check_suffixes(path)

    def check_names(path: object, names: list[str]) -> None:
        check_columns(path, names, [] if "customer" in names else ["customer"])
        others = [name for name in names if name not in (on_file | {"customer", "as_of"})]
        if others:
            fix = "list it in the features file, or leave it out"
            raise DataError(f"{path} has the column {', '.join(others)}, which is not on file; {fix}")

    readers = {".csv": csv_blocks, ".ndjson": _ndjson_blocks, ".parquet": parquet_blocks}
    with reading(path):
        for block in readers[path.suffix](path, ROWS_AT_ONCE, report, check_names):
            yield _profiles_of(block, sorted(on_file & set(block.table.column_names)), as_of)


def _ndjson_blocks(path: Path, rows_at_once: int, report: Report, check_names: Any) -> Iterator[Block]:
    for lines in ndjson_lines(path, rows_at_once, report):
        some = list(lines.values())
        rows = [(number, content) for number, _, content in some if isinstance(content, Object)]
        rejects = [
            (number, "", "is no JSON object of a customer and fields; make it one, with each key once")
            for number, _, content in some
            if not isinstance(content, Object) or len(content) < len(content.pairs)
        ]
        refused = {number for number, _, _ in rejects}
        rows = [(number, content) for number, content in rows if number not in refused]
        names = list(dict.fromkeys(name for _, content in rows for name in content))
        if rows:
            check_names(path, names)
        cells = {name: pa.array([json.dumps(content.get(name)) for _, content in rows]) for name in names}
        yield Block(pa.table(cells), np.array([number for number, _ in rows], dtype=np.int64), rejects, str)


def _profiles_of(block: Block, names: list[str], as_of: datetime) -> Profiles:
    fields: dict[str, Fields] = {}
    rejects = block.rejects
    columns = [_column(block, name) for name in ("customer", "as_of", *names)]
    for number, customer, when, *cells in zip(block.numbers.tolist(), *columns, strict=True):
        values = [check_cell(name, cell) for name, cell in zip(names, cells, strict=True)]
        faults = [
            (number, name, fault_of_cell(name, cell))
            for name, cell, (_, is_valid) in zip(names, cells, values, strict=True)
            if not is_valid and cell != "null"
        ]
        try:
            known = _customer_of(customer)
        except ValidationError:
            faults.append((number, "customer", f"must be a text of 1 to {LONGEST} printable characters"))
        try:
            seconds = _seconds_of(when, as_of)
        except ValueError:
            faults.append((number, "as_of", "must be a time that has passed, such as 2026-01-31T12:00:00Z"))
        if faults:
            rejects += faults
            continue
        given = zip(names, cells, values, strict=True)
        fields[known] = {name: (value, seconds) for name, cell, (value, _) in given if cell != "null"}
    return Profiles(fields, sorted(rejects, key=lambda reject: reject[0]))


def _column(block: Block, name: str) -> list[str]:
    """Write the cells of a column as JSON."""
    if name not in block.table.column_names:
        return ["null"] * len(block.table)
    encoded = block.table[name].combine_chunks()
    encoded = encoded.dictionary_decode() if pa.types.is_dictionary(encoded.type) else encoded
    encoded = encoded.dictionary_encode("encode")
    written = [block.json_of(cell) for cell in encoded.dictionary.to_pylist()]
    return [written[place] for place in encoded.indices.to_pylist()]


def _customer_of(cell: str) -> str:
    """Read a customer's id, which may be written as a number."""
    value = json.loads(cell)
    return CUSTOMER.validate_python(value if isinstance(value, str) or value is None else cell)


def _seconds_of(cell: str, as_of: datetime) -> float:
    """Read a time as Unix seconds. Raises ValueError if it is none, or has not come yet."""
    text = json.loads(cell)
    when = as_of if text is None else datetime.fromisoformat(text)
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if seconds > datetime.now(UTC).timestamp() + CLOCKS_APART:
        raise ValueError
    return seconds
