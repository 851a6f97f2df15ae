"""The parts of a job's result: what came of each chunk, and the result that they are put together to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from credit_risk.jobs.files import REJECTS, RESULTS, JobFolder
from credit_risk.portfolio.writer import Output


class Parts:
    """Writes the parts. A part that is there is whole; writing it again gives the same bytes."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._schema: pa.Schema | None = None
        folder.parts.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, chunk: int, decisions: pa.RecordBatch, rejects: pa.RecordBatch) -> int:
        """Write what came of a chunk. Gives the bytes that it takes.

        Raises DataError if a column is new or changes its type, and OSError.
        """
        paths = []
        if len(decisions):
            schema = self._schema_before(chunk)
            for form in RESULTS:
                paths.append(self._folder.part(chunk, form))
                _write(paths[-1], decisions, schema)
        if len(rejects):
            paths.append(self._folder.part(chunk, REJECTS))
            _write(paths[-1], rejects, None if self._first(REJECTS) in (None, paths[-1]) else rejects.schema)
        return sum(path.stat().st_size for path in paths)

    def join(self) -> None:
        """Put the parts together, to files that appear when they are whole. Raises OSError."""
        for form in RESULTS:
            self._join(form, self._folder.result(form))
        self.join_rejects()

    def join_rejects(self) -> None:
        """Put together only what was refused."""
        self._join(REJECTS, self._folder.rejects)

    def _join(self, suffix: str, path: Path) -> None:
        parts = sorted(self._folder.parts.glob(f"[!.]*.{suffix}"))
        if parts:
            with _appearing(path) as file:
                _tables_together(parts, file) if suffix == "parquet" else _bytes_together(parts, file)

    def _schema_before(self, chunk: int) -> pa.Schema | None:
        """The columns of the first part, if that is not this one."""
        if self._schema is None:
            first = self._first("parquet")
            if first not in (None, self._folder.part(chunk, "parquet")):
                self._schema = pq.read_schema(first)
        return self._schema

    def _first(self, suffix: str) -> Path | None:
        return min(self._folder.parts.glob(f"[!.]*.{suffix}"), default=None)


def _write(path: Path, rows: pa.RecordBatch, schema: pa.Schema | None) -> None:
    with Output(path, schema) as output:
        output.write(rows)
        output.whole = True


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _bytes_together(parts: Sequence[Path], file: BinaryIO) -> None:
    for part in parts:
        with part.open("rb") as content:
            shutil.copyfileobj(content, file, 2**20)


def _tables_together(parts: Sequence[Path], file: BinaryIO) -> None:
    with pq.ParquetWriter(file, pq.read_schema(parts[0])) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
