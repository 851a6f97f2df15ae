"""What came of the rows of a chunk, as one record batch: decisions, and the faults of the rows that are refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from credit_risk.portfolio.checking import Reject

FAULTS = "faults"  # null in a row that is decided
_FAULTS = pa.list_(pa.struct([("field", pa.string()), ("fix", pa.string())]))
REJECTS = pa.schema([("row", pa.int64()), ("field", pa.string()), ("fix", pa.string())])


def outcome_of(decided: Mapping[str, pa.Array], rejects: Sequence[Reject]) -> pa.RecordBatch:
    """Join n decisions, by column, with the faults of other rows, in the order of the rows."""
    decisions = pa.RecordBatch.from_pydict(dict(decided))
    faults: dict[int, list[dict[str, str]]] = defaultdict(list)
    for number, field, fix in rejects:
        faults[number].append({"field": field, "fix": fix})
    numbers = np.concatenate([decisions["row"].to_numpy(), np.array(list(faults), dtype=np.int64)])
    order = np.argsort(numbers)
    is_refused = order >= len(decisions)
    if faults:
        decisions = decisions.take(pa.array(order, mask=is_refused))
        decisions = decisions.set_column(decisions.schema.names.index("row"), "row", pa.array(numbers[order]))
    listed = pa.array(faults.values(), _FAULTS).take(pa.array(order - (len(numbers) - len(faults)), mask=~is_refused))
    return decisions.append_column(FAULTS, listed)


def split_outcome(outcome: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Take the decisions and the rejects apart: the latter have a row for each fault, as REJECTS says."""
    decisions, faults = outcome.drop_columns([FAULTS]), outcome[FAULTS]
    if faults.null_count == len(faults):
        return decisions, pa.RecordBatch.from_pylist([], REJECTS)
    rows = outcome["row"].take(pc.list_parent_indices(faults))
    fields, fixes = faults.flatten().flatten()
    return decisions.filter(faults.is_null()), pa.RecordBatch.from_arrays([rows, fields, fixes], schema=REJECTS)
