"""One function for every engine: a record batch of applications in, a record batch of decisions and rejects out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from credit_risk.contract.application import FIELDS
from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.policy import Policy
from credit_risk.deciding.columns import decide_columns
from credit_risk.deciding.decided import Decided
from credit_risk.deciding.decider import new_decision_id
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.terms import Terms
from credit_risk.model.store import REPORT, StoredModel
from credit_risk.portfolio.blocks import json_of_value
from credit_risk.portfolio.checking import Chunk, check_table
from credit_risk.portfolio.outcome import outcome_of
from credit_risk.portfolio.readers import check_names
from credit_risk.portfolio.recording import RECORD, RecordedAs, Recorder
from credit_risk.portfolio.scoring import columns_of_decisions, input_name, tell_chunk
from credit_risk.record.archive import Basis


class _Loaded(NamedTuple):
    model: StoredModel
    policy: Policy
    catalogue: Catalogue


_loaded: dict[tuple[str, ...], _Loaded] = {}  # in this process, whatever was unpickled last


class BatchDecider:
    """Decides batches of applications as the service would. Pickled, it is the bytes of what decides.

    So a worker needs neither a model store nor files, all workers decide by the same, whatever changes meanwhile, and
    each process loads it once.

    >>> decide = BatchDecider(load_model(tag), load_policy(path), load_catalogue(path))
    >>> decide(batch)  # columns of applications, and any others
    """

    def __init__(
        self,
        model: StoredModel,
        policy: Policy,
        catalogue: Catalogue,
        *,
        reasons: bool = True,
        recorded_as: RecordedAs | None = None,
    ) -> None:
        """With `recorded_as`, each decision has a `decision_id` and a `record`, a line for the decision log."""
        self.basis = Basis(policy.content, catalogue.content, model.tag, model.digest, model.files)
        self._model = replace(model)  # without what it has loaded
        self._reasons = reasons
        self._recorded_as = recorded_as
        self._deciding = _Loaded(model, policy, catalogue)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("basis", "_model", "_reasons", "_recorded_as")}

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide the rows of a batch, in order. Columns that are not of an application are passed through.

        A row that is refused has `faults`, each with a field and a fix, and no decision. Raises DataError if the batch
        lacks columns.
        """
        check_names("the batch", batch.schema.names)
        table = pa.table(batch)
        chunk = check_table(table.select(FIELDS), np.arange(len(table)), [], json_of_value)
        decided = self.decide(chunk).drop_columns(["row"])
        passed = {name: batch[name] for name in batch.schema.names if name not in FIELDS}
        names = [input_name(name, decided.schema.names) for name in passed]
        return pa.RecordBatch.from_arrays([*passed.values(), *decided.columns], names=[*names, *decided.schema.names])

    def decide(self, chunk: Chunk, file: str | None = None) -> pa.RecordBatch:
        """Decide a chunk of a file: as `__call__`, with the number of the `row` and, if it is given, the `file`.

        Rows that are refused come in their places, without the columns that are passed through.
        """
        model, policy, catalogue = self._deciding
        further = {} if file is None else {"file": pa.repeat(file, len(chunk.numbers))}
        if self._recorded_as:
            decisions = self._recorded(chunk, self._recorded_as)
            decided = columns_of_decisions(decisions)
            decided = decided if self._reasons else decided._replace(reasons=None)
            further["decision_id"] = pa.array([each.decision_id for each in decisions], pa.string())
            further[RECORD] = pa.array([each.renderer.record(each) for each in decisions], pa.binary())
        else:
            decided = decide_columns(chunk.columns, model, policy, reasons=self._reasons)
        return outcome_of(tell_chunk(chunk, decided, model.tag, policy, catalogue, further), chunk.rejects)

    @property
    def records(self) -> bool:
        """Tell whether the decisions have records."""
        return self._recorded_as is not None

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Give the schema of what `__call__` makes of a batch with this schema."""
        return self(pa.RecordBatch.from_pylist([], schema)).schema

    def load(self) -> None:
        """Load what decides now, rather than when the first batch comes."""
        _ = self._deciding.model.explainer

    @cached_property
    def _deciding(self) -> _Loaded:
        basis = self.basis
        key = basis.model_digest, *(sha256(content).hexdigest() for content in (basis.policy, basis.catalogue))
        if key not in _loaded:
            _loaded.clear()
            policy = Policy.model_validate_json(basis.policy)
            _loaded[key] = _Loaded(
                _copied(self._model, basis.model_files), policy, Catalogue.model_validate_json(basis.catalogue)
            )
        return _loaded[key]

    @cached_property
    def _terms(self) -> Terms:
        assert self._recorded_as
        return Terms(self._deciding.policy, Renderer(*self._deciding, self._recorded_as.release))

    def _recorded(self, chunk: Chunk, recorded_as: RecordedAs) -> list[Decided]:
        new_id = new_decision_id
        if recorded_as.id_of:
            new_id = map(recorded_as.id_of, chunk.numbers.tolist()).__next__
        return Recorder(recorded_as.origin, self._deciding.model, self._terms, new_id).decide(chunk)


def _copied(model: StoredModel, files: Mapping[Path, bytes]) -> StoredModel:
    """Load a model from the bytes of its files, all of it, because the files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="credit-risk-model-") as folder:
        _write(files, Path(folder))
        copied = replace(model, report=Path(folder, REPORT))
        _ = copied.files, copied.explainer
    return copied


def _write(files: Mapping[Path, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
