"""Read files of applications, some rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from credit_risk.contract.application import FIELDS
from credit_risk.contract.errors import DataError, InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.model.table import columns_of
from credit_risk.portfolio.blocks import (
    Block,
    Input,
    Report,
    check_columns,
    check_suffixes,
    csv_blocks,
    parquet_blocks,
    reading,
)
from credit_risk.portfolio.checking import Chunk, check_table, json_object, rejects_of

LONGEST_LINE = 1_000_000  # bytes of NDJSON
COUNTED_AT_ONCE = 100_000  # rows


def check_paths(applications: Path, output: Path, rejects: Path) -> None:
    """Raise DataError if the paths are of unknown kinds or not different."""
    check_suffixes(applications, output)
    if len({path.resolve() for path in (applications, output, rejects)}) < 3:
        raise DataError("applications, output and rejects must be three different files; name another")


class Lines(NamedTuple):
    """Some lines of an NDJSON file."""

    path: Input
    first: int  # number of the first line, from 1
    lines: list[bytes]

    def values(self) -> Iterator[tuple[int, bytes, Any]]:
        """Give number, text and value of each line that is not empty. Raises DataError if one is not JSON."""
        for number, line in enumerate(self.lines, self.first):
            if not line.strip():
                continue
            try:
                yield number, line, json.loads(line, object_pairs_hook=Object)
            except (ValueError, RecursionError):
                raise DataError(f"line {number} of {self.path} is not JSON; put it right, or take it out") from None


def read_rows(path: Input, rows_at_once: int, report: Report) -> Iterator[Block | Lines]:
    """Read a CSV, NDJSON or Parquet file, some rows at a time, as they are. In NDJSON a row is a line.

    The same file gives the same chunks.

    Raises DataError with one sentence if the file as a whole can't be used.
    """
    with reading(path):
        if path.suffix == ".ndjson":
            yield from ndjson_lines(path, rows_at_once, report)
        else:
            blocks = csv_blocks if path.suffix == ".csv" else parquet_blocks
            yield from blocks(path, rows_at_once, report, check_names)


def read(path: Input, rows_at_once: int, report: Report, skip: int = 0) -> Iterator[Chunk]:
    """Read and check as `read_rows` and `check` do. The first `skip` chunks are left out, without a check."""
    return map(check, islice(read_rows(path, rows_at_once, report), skip, None))


def check(rows: Block | Lines) -> Chunk:
    """Check rows that were read. Raises DataError if a line is not JSON."""
    return _check_lines(rows) if isinstance(rows, Lines) else check_table(*rows)


def count_rows(path: Path) -> int:
    """Count the rows of a file, those included that will be refused. Raises DataError as `read` does."""
    with reading(path):
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                return int(file.metadata.num_rows)
        if path.suffix == ".ndjson":
            with path.open("rb") as lines:
                return sum(1 for line in lines if line.strip())
        blocks = csv_blocks(path, COUNTED_AT_ONCE, lambda _: None, check_names)
        return sum(len(block.table) + len(block.rejects) for block in blocks)


def check_names(path: object, names: list[str]) -> None:
    """Raise DataError if these columns do not hold applications."""
    check_columns(path, names, [field for field in FIELDS if field not in names])


def ndjson_lines(path: Input, rows_at_once: int, report: Report) -> Iterator[Lines]:
    """Read the lines of an NDJSON file, some at a time."""
    size, read, first = path.stat().st_size, 0, 1
    with path.open("rb") as file:
        lines = iter(partial(file.readline, LONGEST_LINE), b"")
        while some := list(islice(lines, rows_at_once)):
            yield Lines(path, first, some)
            first += len(some)
            read += sum(map(len, some))
            report(read / max(1, size))


def _check_lines(lines: Lines) -> Chunk:
    valid, numbers, further, rejects = [], [], [], []
    for number, line, content in lines.values():
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
    return Chunk(columns_of(valid), np.array(numbers, dtype=np.int64), passed, rejects)


class Object(dict[str, Any]):
    """A JSON object that remembers keys that were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _further_members(content: Any) -> dict[str, Any]:
    return {key: content[key] for key in content if key not in FIELDS} if isinstance(content, Object) else {}
