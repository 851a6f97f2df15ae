"""The decisions of a file on record, as the service would leave them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from credit_risk.contract.customer import Asked, Part, Referenced, is_reference
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, new_decision_id
from credit_risk.deciding.log import NoLog
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.model.store import StoredModel
from credit_risk.model.table import applications_of
from credit_risk.portfolio.checking import Chunk
from credit_risk.record.archive import FOLDER, Archive, Basis
from credit_risk.record.chain import genesis
from credit_risk.record.encryption import encrypt
from credit_risk.record.keys import remove_keys
from credit_risk.record.open_file import OpenFile
from credit_risk.record.seal import FOLDER as SEAL
from credit_risk.record.seal import Seal

RECORD = "record"  # the column of the lines
PART = 1000  # decisions that are made at once


class RecordedAs(NamedTuple):
    """What a record says beside the decision."""

    origin: Origin
    release: str  # version and commit of the code that decides
    id_of: Callable[[int], str] | None = None  # from the number of a row to its decision's id, which else is random


class Recorder:
    """Decides chunks of files as the service would, and makes their records."""

    def __init__(
        self, origin: Origin, model: StoredModel, terms: Terms, new_id: Callable[[], str] = new_decision_id
    ) -> None:
        """`origin` has a name for the file in the place of a request's id. `new_id` makes the ids of decisions."""
        self._origin = origin
        self._decider = Decider(model.encoder, InProcessScoring(model), always(terms), NoLog(), new_id=new_id)

    def decide(self, chunk: Chunk) -> list[Decided]:
        """Decide the n applications of a chunk, in order."""
        applications = _referenced(applications_of(chunk.columns), chunk.passed.get("reference"))
        parts = [applications[begin : begin + PART] for begin in range(0, len(applications), PART)]
        return asyncio.run(self._decider.decide_all(parts, self._origin))


def _referenced(applications: Sequence[Asked], column: pa.Array | None) -> Part:
    """Give applications the references in a column of the file. What is no reference there is not put on record."""
    if column is None:
        return applications
    references = [reference if is_reference(reference) else None for reference in column.to_pylist()]
    return list(map(Referenced, applications, references))


class Recording(AbstractContextManager[Any]):
    """A file of a decision log. It appears at the end, if `whole` was set by then, and what decided beside it."""

    def __init__(self, folder: Path, basis: Basis, seal: Seal | None = None, *, encrypts: bool = False) -> None:
        """`basis` is what decides. Raises OSError if the folder can't be written to."""
        self.whole = False
        self._encrypts = encrypts
        Archive(folder / FOLDER).keep(basis)
        if seal is not None:
            (folder / SEAL).mkdir(exist_ok=True)
            seal.key.publish(folder / SEAL)
        self._seal = seal
        name = f"decisions-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.ndjson"
        self._path, part = folder / name, folder / f".{name}.part"
        self._file = OpenFile(part, seal, genesis(str(uuid4())) if seal else None, self._path)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            head = self._file.sign()
            self._file.finish()
            if self.whole and kind is None:
                self._file.path.replace(self._path)
                if self._seal is not None and head is not None:
                    self._seal.hand_on(head)
        finally:
            self._file.path.unlink(missing_ok=True)
            if not self._path.exists():
                remove_keys(self._path)

    def write(self, records: pa.Array) -> None:
        """Add records, which are lines."""
        lines: list[bytes] = records.to_pylist()
        if self._encrypts:
            self._file.write(*encrypt(lines))
        else:
            self._file.write(lines)
