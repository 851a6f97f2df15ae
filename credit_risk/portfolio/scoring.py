"""Decide a chunk of a file, as columns for the output."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.policy import Policy
from credit_risk.deciding.columns import DecidedColumns, decide_columns
from credit_risk.deciding.decided import Decided
from credit_risk.model.store import StoredModel
from credit_risk.portfolio.checking import Chunk
from credit_risk.portfolio.outcome import FAULTS

INPUT = "input_"  # put in front of an input column whose name an output column has
NOTHING: Mapping[str, pa.Array] = MappingProxyType({})


def score_chunk(
    chunk: Chunk,
    model: StoredModel,
    policy: Policy,
    catalogue: Catalogue,
    *,
    reasons: bool = True,
) -> dict[str, pa.Array]:
    """Decide the n applications of a chunk. Gives (n,) for each output column, after the columns passed through."""
    decided = decide_columns(chunk.columns, model, policy, reasons=reasons)
    return tell_chunk(chunk, decided, model.tag, policy, catalogue)


def columns_of_decisions(decisions: Sequence[Decided]) -> DecidedColumns:
    """Put decisions that were made one by one into columns."""
    return DecidedColumns(
        np.array([STATUSES.index(decided.status) for decided in decisions], dtype=np.int64),
        [decided.probability for decided in decisions],
        [decided.score for decided in decisions],
        [tuple(code for code, _ in decided.reasons) for decided in decisions],
        [tuple(decided.warnings) for decided in decisions],
    )


def tell_chunk(
    chunk: Chunk,
    decided: DecidedColumns,
    model: str,
    policy: Policy,
    catalogue: Catalogue,
    further: Mapping[str, pa.Array] = NOTHING,
) -> dict[str, pa.Array]:
    """Give what was decided about the n applications of a chunk by this model as the columns of `score_chunk`.

    `further` are more columns of the output.
    """
    output = {
        "row": pa.array(chunk.numbers),
        "Status": pa.array(STATUSES).take(pa.array(decided.status)),
        "probability_of_default": pa.array([round(each, 4) for each in decided.probability], pa.float64()),
        "score": pa.array(decided.score, pa.int64()),
    }
    if decided.reasons is not None:
        output["reasons"] = _lists(decided.reasons, lambda codes: codes)
        output["reason_texts"] = _lists(decided.reasons, lambda codes: [catalogue.reasons[code] for code in codes])
    output["warnings"] = _lists(decided.warnings, lambda codes: codes)
    for name, version in (("model", model), ("policy", policy.version), ("catalogue", catalogue.version)):
        output[name] = pa.repeat(version, len(chunk.numbers))
    output |= further
    return {input_name(name, {*output, FAULTS}): cells for name, cells in chunk.passed.items()} | output


def input_name(name: str, output: Container[str]) -> str:
    """Rename an input column if an output column has its name, or would have it without the prefix."""
    return INPUT + name if name.split(INPUT)[-1] in output else name


def _lists(keys: Sequence[Any], texts_of: Callable[[Any], Sequence[str]]) -> pa.Array:
    """Make a list of texts for each key. Only few keys are different."""
    place: dict[Any, int] = {}
    places = [place.setdefault(key, len(place)) for key in keys]
    return pa.array([texts_of(key) for key in place], pa.list_(pa.string())).take(pa.array(places, pa.int64()))
