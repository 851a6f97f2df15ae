"""Read the rows of CSV and Parquet files as they are, some at a time."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.checking import Reject
from credit_risk.portfolio.remote import RemoteFile

BYTES = 4_000_000  # of CSV that are parsed in one go
SUFFIXES = (".csv", ".ndjson", ".parquet")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
Input = Path | RemoteFile
Report = Callable[[float], object]  # takes the share of the file that was read
CheckNames = Callable[[Input, list[str]], object]  # takes the file and its columns; raises DataError if they won't do


class Block(NamedTuple):
    """Some rows of a file."""

    table: pa.Table
    numbers: NDArray[np.int64]  # of the n rows in the file, from 1, (n,)
    rejects: list[Reject]  # rows around here that could not be read
    json_of: Callable[[Any], str]  # writes a cell as JSON

    def __reduce__(self) -> Any:
        """Pickle only the rows of the table: Arrow itself would pickle all those that it is a slice of."""
        with pa.BufferOutputStream() as stream:
            with pa.ipc.new_stream(stream, self.table.schema) as writer:
                writer.write_table(self.table)
            return _unpickled, (stream.getvalue().to_pybytes(), *self[1:])


def _unpickled(stream: bytes, *others: Any) -> Block:
    return Block(pa.ipc.open_stream(stream).read_all(), *others)


def check_suffixes(*paths: Path) -> None:
    """Raise DataError if a path is of an unknown kind."""
    for path in paths:
        if path.suffix not in SUFFIXES:
            raise DataError(f"{path} is none of the known files; name one that ends in {', '.join(SUFFIXES)}")


@contextmanager
def reading(path: Input) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a DataError with one sentence."""
    try:
        yield
    except (UnicodeDecodeError, pa.ArrowException) as error:
        broken = f"is broken, or not {path.suffix[1:]}; write it anew"
        fault = "is not UTF-8 text; save it in UTF-8" if re.search("utf-?8", str(error), re.I) else broken
        raise DataError(f"{path} {fault}") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {os.strerror(error.errno or 5)}; name a file that can") from None


def csv_blocks(path: Input, rows_at_once: int, report: Report, check_names: CheckNames) -> Iterator[Block]:
    """Read a CSV file, as text. A row with too few or too many cells is a reject."""
    with io.TextIOWrapper(path.open("rb"), "utf-8-sig", newline="") as text:
        header = next(csv.reader(text), [])
    check_names(path, header)
    ragged: dict[int, Reject] = {}

    def skip(row: Any) -> str:
        cells = f"has {row.actual_columns} cells where the header names {row.expected_columns}; give it one for each"
        ragged[row.number - 1] = row.number - 1, "", cells
        return "skip"

    size, first = path.stat().st_size, 1
    texts = pa.schema([(name, pa.string()) for name in header])
    with pa.OSFile(str(path)) if isinstance(path, Path) else path.random_access() as file:
        batches = pyarrow.csv.open_csv(
            file,
            # Arrow can't tell the number of a row that it skips when it reads with threads.
            pyarrow.csv.ReadOptions(block_size=BYTES, use_threads=False),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=False),
        )
        for block in batches:
            for start in range(0, len(block), rows_at_once):
                table = pa.table(block.slice(start, rows_at_once))
                rows = np.arange(first, first + len(table) + len(ragged))
                numbers = np.setdiff1d(rows, list(ragged))[: len(table)]
                first = int(numbers[-1]) + 1
                rejects = [ragged.pop(row) for row in sorted(ragged) if row < first]
                yield Block(table, numbers, rejects, _json_of_text)
            report(file.tell() / size)
    if ragged:
        yield Block(texts.empty_table(), np.arange(0), list(ragged.values()), _json_of_text)


def parquet_blocks(path: Input, rows_at_once: int, report: Report, check_names: CheckNames) -> Iterator[Block]:
    """Read a Parquet file."""
    with pq.ParquetFile(path if isinstance(path, Path) else path.random_access()) as file:
        check_names(path, file.schema_arrow.names)
        read = 0
        for batch in file.iter_batches(rows_at_once):
            yield Block(pa.table(batch), np.arange(read + 1, read + len(batch) + 1), [], json_of_value)
            read += len(batch)
            report(read / file.metadata.num_rows)


def check_columns(path: object, names: list[str], lacking: list[str]) -> None:
    """Raise DataError if a file lacks columns, or has one more than once."""
    for found, fix in (
        (lacking, "lacks the column {}; add what is lacking"),
        (sorted({name for name in names if names.count(name) > 1}), "has the column {} more than once; keep one"),
    ):
        if found:
            raise DataError(f"{path} {fix.format(', '.join(found))}" if names else f"{path} is empty; name another")


def _json_of_text(cell: str) -> str:
    """Write a cell of CSV as JSON: a number if its text is one in JSON, else text, and null if it is empty."""
    return (cell if _JSON_NUMBER.fullmatch(cell) else json.dumps(cell)) if cell else "null"


def json_of_value(value: Any) -> str:
    """Write a value as JSON."""
    return json.dumps(value, default=str)
