"""Check rows of applications as the service would.

The contract checks each different cell of a column once. A row with a refused cell is then checked whole, as JSON, so
that its faults are told in the service's words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from credit_risk.contract.application import CATEGORIES, EXAMPLE, FIELDS
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.model.table import Columns

_EXAMPLE = {field: json.dumps(value) for field, value in EXAMPLE.model_dump().items()}
Reject = tuple[int, str, str]  # number of the row, field (empty: the row as a whole), fix


class Chunk(NamedTuple):
    """Some rows of a file."""

    columns: Columns  # of the n valid applications
    numbers: NDArray[np.int64]  # of their rows in the file, from 1, (n,)
    passed: dict[str, pa.Array]  # their further columns, by name
    rejects: list[Reject]  # the faults of the other rows


def check_table(
    table: pa.Table, numbers: NDArray[np.int64], rejects: list[Reject], json_of: Callable[[Any], str]
) -> Chunk:
    """Check the applications of a table, given the numbers of its rows and how to write a cell as JSON.

    `rejects` are faults that are known already.
    """
    columns: dict[str, NDArray[Any]] = {}
    valid = np.ones(len(table), dtype=bool)
    for field in FIELDS:
        cells = table[field].combine_chunks()
        cells = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
        encoded = cells.dictionary_encode("encode")
        checked = [check_cell(field, json_of(cell)) for cell in encoded.dictionary.to_pylist()]
        place = encoded.indices.to_numpy()
        values = np.array([value for value, _ in checked], dtype=object if field in CATEGORIES else np.float64)
        columns[field] = values[place]
        valid &= np.array([is_valid for _, is_valid in checked], dtype=bool)[place]
    for row in np.flatnonzero(~valid).tolist():
        try:
            parse_application(json_object((field, json_of(table[field][row].as_py())) for field in FIELDS))
        except InvalidRequestError as error:
            rejects += rejects_of(int(numbers[row]), error)
    passed = {name: table[name].combine_chunks() for name in table.column_names if name not in FIELDS}
    if not valid.all():
        columns = {field: values[valid] for field, values in columns.items()}
        passed = {name: values.filter(pa.array(valid)) for name, values in passed.items()}
    return Chunk(columns, numbers[valid], passed, sorted(rejects, key=lambda reject: reject[0]))


def rejects_of(number: int, error: InvalidRequestError) -> list[Reject]:
    """List the faults of a row."""
    return [(number, str(detail["loc"][-1]) if detail["loc"] else "", detail["msg"]) for detail in error.detail]


def json_object(members: Iterable[tuple[str, str]]) -> bytes:
    """Join keys and values, which are JSON already, into an object."""
    return ("{" + ",".join(f'"{key}":{value}' for key, value in members) + "}").encode()


@lru_cache(maxsize=100_000)
def check_cell(field: str, cell: str) -> tuple[Any, bool]:
    """Read a field from JSON, and tell whether the contract accepts it. No field's validity depends on another."""
    try:
        return parse_application(json_object((_EXAMPLE | {field: cell}).items())).__dict__[field], True
    except InvalidRequestError:
        return None, False


def fault_of_cell(field: str, cell: str) -> str:
    """Say what is wrong with a cell that the contract does not accept."""
    try:
        parse_application(json_object((_EXAMPLE | {field: cell}).items()))
    except InvalidRequestError as error:
        return error.detail[0]["msg"]
    return "must be given in another way"
