"""The decisions of a job's chunks on record, each chunk once, whoever has decided it how often.

A chunk is a file of the decision log of its own, named after the job and the chunk. It is linked to its name when it is
whole and durable, and whoever comes second finds the name taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from credit_risk.jobs.job import Job
from credit_risk.record.archive import FOLDER, Archive, Basis
from credit_risk.record.writer import OFF, STDOUT, Place, open_writer


class ChunkLog:
    """The decision log, as jobs write it."""

    def __init__(self, place: Place) -> None:
        """`place` is a folder, `stdout` or `off`."""
        self._folder = None if place in (OFF, STDOUT) else Path(place)
        self._stream = open_writer(STDOUT, fsync="never", rotate_bytes=0, keep_days=None) if place == STDOUT else None

    def append(self, job: Job, chunk: int, lines: Sequence[bytes], basis: Basis) -> None:
        """Put the records of a chunk into the log, unless they are there. In a stream they may come twice.

        Raises OSError or UnavailableError if that is impossible.
        """
        if not lines:
            return
        if self._stream is not None:
            asyncio.run(self._stream.append(lines, basis))
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            Archive(self._folder / FOLDER).keep(basis)
            created = datetime.fromtimestamp(job.created, UTC)
            name = f"decisions-{created:%Y%m%dT%H%M%S.%fZ}-{job.id}-{chunk:06}.ndjson"
            _place(self._folder / name, b"".join(lines))


def _place(path: Path, content: bytes) -> None:
    """Make a file at once and durably, if it is not there. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
