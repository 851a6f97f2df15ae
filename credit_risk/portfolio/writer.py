"""Write a file of columns, which appears only when it is complete."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.remote import RemoteFile


class Sink(Protocol):
    """Where a file is written."""

    suffix: str
    file: Any  # binary

    def keep(self) -> None:
        """Let the file, which is closed, take its place."""

    def discard(self) -> None:
        """Remove what was written, unless it is in its place."""


class PathSink:
    """A path of this machine, whose file replaces what was there."""

    def __init__(self, path: Path) -> None:
        self.suffix = path.suffix
        self._path, self._part = path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
        self.file = self._part.open("wb")

    def keep(self) -> None:
        self._part.replace(self._path)

    def discard(self) -> None:
        self._part.unlink(missing_ok=True)


class RemoteSink:
    """A file in a bucket, where it appears when it is closed."""

    def __init__(self, file: RemoteFile) -> None:
        self.suffix = file.suffix
        self._place, self._is_kept = file, False
        self.file = file.filesystem.open_output_stream(file.path)

    def keep(self) -> None:
        self._is_kept = True

    def discard(self) -> None:
        if not self._is_kept:
            self._place.filesystem.delete_file(self._place.path)


class Output(AbstractContextManager[Any]):
    """A .csv, .ndjson or .parquet file. It takes its place at the end, if `whole` was set by then."""

    def __init__(self, place: Path | Sink, schema: pa.Schema | None = None) -> None:
        """`schema` is that of a file which this one goes on with. A CSV file has no header then."""
        self.whole = False
        self._has_header = schema is not None
        self._parquet: pq.ParquetWriter = None
        self._sink: Sink = PathSink(place) if isinstance(place, Path) else place
        self._file = self._sink.file
        self.layout = Layout(self.suffix, schema) if schema else None  # that of the first rows, once there are any

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._file.close()
            if self.whole and kind is None:
                self._sink.keep()
        finally:
            self._sink.discard()

    @property
    def suffix(self) -> str:
        """The kind of the file."""
        return self._sink.suffix

    def write(self, rows: pa.RecordBatch | Mapping[str, Any]) -> None:
        """Add rows. Raises DataError if a column is new or changes its type."""
        table = pa.table(rows if isinstance(rows, pa.RecordBatch) else dict(rows))
        self.layout = self.layout or Layout.of(table, self.suffix)
        if self.suffix == ".parquet":
            self._parquet = self._parquet or pq.ParquetWriter(self._file, self.layout.schema)
            self._parquet.write_table(self.layout.lay_out(table))
        else:
            self.append(self.layout.render(table), self.layout)

    def append(self, text: bytes, layout: Layout) -> None:
        """Add rows of CSV or NDJSON that this layout has rendered."""
        if not self._has_header:
            self._file.write(layout.header())
        self._file.write(text)
        self._has_header, self.layout = True, layout


class Layout(NamedTuple):
    """The columns of a file, and its kind."""

    suffix: str
    schema: pa.Schema

    @classmethod
    def of(cls, first: pa.Table, suffix: str) -> Layout:
        """Lay a file out by its first rows. A column without any value counts as text."""
        types = [pa.string() if pa.types.is_null(field.type) else field.type for field in first.schema]
        return cls(suffix, pa.schema(zip(first.schema.names, types, strict=True)))

    def header(self) -> bytes:
        return _csv_of([self.schema.names]) if self.suffix == ".csv" else b""

    def render(self, rows: pa.Table | pa.RecordBatch) -> bytes:
        """Give rows as bytes of CSV or NDJSON. Raises DataError like `lay_out`."""
        table = self.lay_out(rows)
        if self.suffix == ".csv":
            return _csv_of(zip(*[map(_cell_of, column.to_pylist()) for column in table.columns], strict=True))
        lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table.to_pylist()]
        return "".join(lines).encode()

    def lay_out(self, rows: pa.Table | pa.RecordBatch) -> pa.Table:
        """Give the columns in the file's order and types. Raises DataError if one is new or changes its type."""
        names, found = self.schema.names, rows.schema.names
        absent = {name: pa.nulls(len(rows)) for name in names if name not in found}
        every = pa.table(absent | dict(zip(found, rows.columns, strict=True)))
        try:
            return every.select([*names, *every.column_names[len(names) :]]).cast(self.schema)
        except ValueError:  # Arrow's own errors are such
            raise DataError("a further column comes late or changes its type; give all rows the same ones") from None


def _csv_of(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell_of(value: Any) -> Any:
    """Write a value as a cell of CSV."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value
