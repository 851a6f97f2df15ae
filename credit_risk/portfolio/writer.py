"""Write a file of columns, which appears only when it is complete."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from credit_risk.contract.errors import DataError


class Output(AbstractContextManager[Any]):
    """A .csv, .ndjson or .parquet file. It replaces what was there at the end, if `whole` was set by then."""

    def __init__(self, path: Path, schema: pa.Schema | None = None) -> None:
        """`schema` is that of a file which this one goes on with. A CSV file has no header then."""
        self.whole = False
        self._has_header = schema is not None
        self._path, self._part = path, path.with_name(f".{path.name}.{os.getpid()}.part")
        self._schema = schema
        self._parquet: pq.ParquetWriter = None
        self._file = self._part.open("wb")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._file.close()
            if self.whole and kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def write(self, columns: Mapping[str, pa.Array]) -> None:
        """Add rows. Raises DataError if a column is new or changes its type."""
        table = self._as_before(columns)
        if self._path.suffix == ".parquet":
            self._parquet = self._parquet or pq.ParquetWriter(self._file, self._schema)
            self._parquet.write_table(table)
        elif self._path.suffix == ".ndjson":
            lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table.to_pylist()]
            self._file.write("".join(lines).encode())
        else:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if not self._has_header:
                writer.writerow(table.column_names)
                self._has_header = True
            writer.writerows(zip(*[map(_cell_of, column.to_pylist()) for column in table.columns], strict=True))
            self._file.write(text.getvalue().encode())

    def _as_before(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        """Give the columns in the order and with the types of the first rows."""
        table = pa.table(dict(columns))
        if self._schema is None:  # a column without any value counts as text
            types = [pa.string() if pa.types.is_null(field.type) else field.type for field in table.schema]
            self._schema = pa.schema(zip(table.column_names, types, strict=True))
        try:
            absent = {name: pa.nulls(len(table)) for name in self._schema.names if name not in columns}
            every = pa.table(absent | dict(columns))
            return every.select([*self._schema.names, *every.column_names[len(self._schema) :]]).cast(self._schema)
        except ValueError:  # Arrow's own errors are such
            raise DataError("a further column comes late or changes its type; give all rows the same ones") from None


def _cell_of(value: Any) -> Any:
    """Write a value as a cell of CSV."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value
