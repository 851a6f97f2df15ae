"""Read files of applications, some rows at a time."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from credit_risk.contract.application import FIELDS
from credit_risk.contract.errors import DataError, InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.model.table import columns_of
from credit_risk.portfolio.checking import Chunk, Reject, check_table, json_object, rejects_of

BLOCK = 4_000_000  # bytes of CSV parsed in one go
LONGEST_LINE = 1_000_000  # bytes of NDJSON
SUFFIXES = (".csv", ".ndjson", ".parquet")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
Report = Callable[[float], object]  # takes the share of the file that was read


def check_paths(applications: Path, output: Path, rejects: Path) -> None:
    """Raise DataError if the paths are of unknown kinds or not different."""
    for path in (applications, output):
        if path.suffix not in SUFFIXES:
            raise DataError(f"{path} is none of the known files; name one that ends in {', '.join(SUFFIXES)}")
    if len({path.resolve() for path in (applications, output, rejects)}) < 3:
        raise DataError("applications, output and rejects must be three different files; name another")


def read(path: Path, rows_at_once: int, report: Report) -> Iterator[Chunk]:
    """Read the rows of a CSV, NDJSON or Parquet file, in order. In NDJSON a row has the number of its line.

    Raises DataError with one sentence if the file as a whole can't be used.
    """
    readers = {".csv": _read_csv, ".ndjson": _read_ndjson, ".parquet": _read_parquet}
    try:
        yield from readers[path.suffix](path, rows_at_once, report)
    except (UnicodeDecodeError, pa.ArrowException) as error:
        broken = f"is broken, or not {path.suffix[1:]}; write it anew"
        fault = "is not UTF-8 text; save it in UTF-8" if re.search("utf-?8", str(error), re.I) else broken
        raise DataError(f"{path} {fault}") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {os.strerror(error.errno or 5)}; name a file that can") from None


def _read_csv(path: Path, rows_at_once: int, report: Report) -> Iterator[Chunk]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        header = next(csv.reader(text), [])
    check_names(path, header)
    ragged: dict[int, Reject] = {}

    def skip(row: Any) -> str:
        cells = f"has {row.actual_columns} cells where the header names {row.expected_columns}; give it one for each"
        ragged[row.number - 1] = row.number - 1, "", cells
        return "skip"

    size, first = path.stat().st_size, 1
    with pa.OSFile(str(path)) as file:
        batches = pyarrow.csv.open_csv(
            file,
            # Arrow can't tell the number of a row that it skips when it reads with threads.
            pyarrow.csv.ReadOptions(block_size=BLOCK, use_threads=False),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
        for block in batches:
            for start in range(0, len(block), rows_at_once):
                table = pa.table(block.slice(start, rows_at_once))
                rows = np.arange(first, first + len(table) + len(ragged))
                numbers = np.setdiff1d(rows, list(ragged))[: len(table)]
                first = int(numbers[-1]) + 1
                rejects = [ragged.pop(row) for row in sorted(ragged) if row < first]
                yield check_table(table, numbers, rejects, _json_of_text)
            report(file.tell() / size)
    yield Chunk({}, np.arange(0), {}, list(ragged.values()))


def _read_parquet(path: Path, rows_at_once: int, report: Report) -> Iterator[Chunk]:
    with pq.ParquetFile(path) as file:
        check_names(path, file.schema_arrow.names)
        read = 0
        for batch in file.iter_batches(rows_at_once):
            yield check_table(pa.table(batch), np.arange(read + 1, read + len(batch) + 1), [], json_of_value)
            read += len(batch)
            report(read / file.metadata.num_rows)


def check_names(path: object, names: list[str]) -> None:
    for found, fix in (
        ([field for field in FIELDS if field not in names], "lacks the column {}; add what is lacking"),
        (sorted({name for name in names if names.count(name) > 1}), "has the column {} more than once; keep one"),
    ):
        if found:
            raise DataError(f"{path} {fix.format(', '.join(found))}" if names else f"{path} is empty; name another")


def _read_ndjson(path: Path, rows_at_once: int, report: Report) -> Iterator[Chunk]:
    size, read = path.stat().st_size, 0
    with path.open("rb") as file:
        lines = enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1)
        while some := list(islice(lines, rows_at_once)):
            valid, numbers, further, rejects = [], [], [], []
            for number, line in some:
                if not line.strip():
                    continue
                try:
                    content = json.loads(line, object_pairs_hook=_Object)
                except (ValueError, RecursionError):
                    raise DataError(f"line {number} of {path} is not JSON; put it right, or take it out") from None
                others = _further_members(content)
                if others:
                    line = json_object((key, json.dumps(value)) for key, value in content.pairs if key in FIELDS)
                try:
                    valid.append(parse_application(line))
                except InvalidRequestError as error:
                    rejects += rejects_of(number, error)
                else:
                    numbers.append(number)
                    further.append(others)
            names = dict.fromkeys(name for others in further for name in others)
            passed = {name: pa.array([others.get(name) for others in further]) for name in names}
            yield Chunk(columns_of(valid), np.array(numbers, dtype=np.int64), passed, rejects)
            read += sum(map(len, some))
            report(read / max(1, size))


class _Object(dict[str, Any]):
    """A JSON object that remembers keys that were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _further_members(content: Any) -> dict[str, Any]:
    return {key: content[key] for key in content if key not in FIELDS} if isinstance(content, _Object) else {}


def _json_of_text(cell: str) -> str:
    """Write a cell of CSV as JSON: a number if its text is one in JSON, else text, and null if it is empty."""
    return (cell if _JSON_NUMBER.fullmatch(cell) else json.dumps(cell)) if cell else "null"


def json_of_value(value: Any) -> str:
    """Write a value as JSON."""
    return json.dumps(value, default=str)
