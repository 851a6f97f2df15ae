"""What callers hold applications in: dictionaries, pandas DataFrames and Arrow tables. pandas is never imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from credit_risk.contract.errors import DataError

KINDS = "a dictionary, a list of dictionaries, a pandas DataFrame or a pyarrow Table"


def is_dictionaries(data: Any) -> bool:
    """Tell whether this is a list of dictionaries."""
    is_list = isinstance(data, Sequence) and not isinstance(data, str | bytes)
    return is_list and all(isinstance(row, Mapping) for row in data)


def is_frame(data: Any) -> bool:
    """Tell whether this is a pandas DataFrame. If there is one, pandas has been imported by whoever made it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def arrow_of(data: Any) -> pa.Table:
    """Give a list of dictionaries, a DataFrame or a table as an Arrow table. Raises DataError if it is none of them."""
    try:
        if isinstance(data, pa.Table):
            return data
        if is_frame(data):
            return pa.Table.from_pandas(data, preserve_index=False)
        if is_dictionaries(data):
            return pa.Table.from_pylist([dict(row) for row in data])
    except pa.ArrowException:
        raise DataError("a column holds values of several types; give each column one type") from None
    raise DataError(f"applications are of the type {type(data).__name__}; give {KINDS}")


def like(data: Any, table: pa.Table) -> Any:
    """Give a table of n rows as what `data` is: a table, or a DataFrame with the same index."""
    if not is_frame(data):
        return table
    return type(data)({name: table[name].to_pylist() for name in table.column_names}, index=data.index)
