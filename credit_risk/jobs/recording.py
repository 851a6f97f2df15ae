"""The decisions of a job's chunks on record, each chunk once, whoever has decided it how often.

A chunk is a file of the decision log of its own, named after the job and the chunk. It is linked to its name when it is
whole and durable, and whoever comes second finds the name taken. In a sealed log the files of a job are a chain of
their own, and each ends with a head.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from credit_risk.jobs.job import Job
from credit_risk.record.appearing import appear
from credit_risk.record.archive import FOLDER, Archive, Basis
from credit_risk.record.chain import genesis, tip_of
from credit_risk.record.encryption import encrypt
from credit_risk.record.keys import KeyFile
from credit_risk.record.seal import FOLDER as SEAL
from credit_risk.record.seal import Seal
from credit_risk.record.stream import RecordStream
from credit_risk.record.writer import OFF, STDOUT, Place


class ChunkLog:
    """The decision log, as jobs write it."""

    def __init__(self, place: Place, seal: Seal | None = None, *, encrypts: bool = False) -> None:
        """`place` is a folder, `stdout` or `off`. In a folder, this `encrypts` what is personal."""
        self._encrypts = encrypts
        self._folder = None if place in (OFF, STDOUT) else Path(place)
        self._stream = RecordStream(seal=seal) if place == STDOUT else None
        self._seal = seal

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
            start = f"decisions-{datetime.fromtimestamp(job.created, UTC):%Y%m%dT%H%M%S.%fZ}-{job.id}-"
            path = self._folder / f"{start}{chunk:06}.ndjson"
            if path.exists():
                return
            keys = None
            if self._encrypts:
                lines, of_lines = encrypt(lines)
                keys = KeyFile.create(path)
                try:
                    keys.add(of_lines)
                    keys.sync()
                finally:
                    keys.close()
            if self._seal is None:
                is_first = appear(path, b"".join(lines))
            else:
                (self._folder / SEAL).mkdir(exist_ok=True)
                self._seal.key.publish(self._folder / SEAL)
                before = [file for file in self._folder.glob(f"{start}*.ndjson") if file < path]
                tip = tip_of(max(before)) if before else None
                sealed = self._seal.sealed(lines, tip or genesis(job.id))
                is_first = appear(path, b"".join(sealed))
                if is_first:
                    self._seal.hand_on(sealed[-1])
            if keys is not None and not is_first:
                keys.path.unlink(missing_ok=True)
