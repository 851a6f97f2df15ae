"""The decisions of a file on record, as the service would leave them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.policy import Policy
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, new_decision_id
from credit_risk.deciding.log import NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.model.store import StoredModel
from credit_risk.model.table import applications_of
from credit_risk.portfolio.checking import Chunk
from credit_risk.record.archive import FOLDER, Archive

PART = 1000  # decisions that are made at once


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
        applications = applications_of(chunk.columns)
        parts = [applications[begin : begin + PART] for begin in range(0, len(applications), PART)]
        return asyncio.run(self._decider.decide_all(parts, self._origin))


class Recording(AbstractContextManager[Any]):
    """A file of a decision log. It appears at the end, if `whole` was set by then, and what decided beside it."""

    def __init__(
        self, folder: Path, origin: str, model: StoredModel, policy: Policy, catalogue: Catalogue, release: str
    ) -> None:
        """`origin` takes the place of the request's id. Raises OSError if the folder can't be written to."""
        self.whole = False
        renderer = Renderer(model, policy, catalogue, release)
        self._recorder = Recorder(Origin(origin, None), model, Terms(policy, renderer))
        Archive(folder / FOLDER).keep(renderer.basis)
        name = f"decisions-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.ndjson"
        self._path, self._part = folder / name, folder / f".{name}.part"
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
            if self.whole and kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def record(self, chunk: Chunk) -> pa.Array:
        """Decide the n applications of a chunk as the service does, and record them. Gives their ids, (n,)."""
        decisions = self._recorder.decide(chunk)
        self._file.writelines(decided.renderer.record(decided) for decided in decisions)
        return pa.array([decided.decision_id for decided in decisions])
