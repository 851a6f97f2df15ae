"""Whom applicants are compared with: the typical applicants of the training rows who just pass, for any cutoff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import (
    CATEGORICAL,
    MONOTONE,
    NUMERIC,
    PROTECTED_CATEGORICAL,
    PROTECTED_NUMERIC,
    UNKNOWN,
)
from credit_risk.model.reference import Reference
from credit_risk.model.table import Columns, table_of

SHARE = 0.05  # of the applicants: how many count as those who just pass
FEWEST = 50
STEPS = 100

Predict = Callable[[Columns], NDArray[np.floating]]  # probabilities of default of a table, (n,)


def references_of(columns: Columns, predict: Predict, *, protected: bool) -> list[Reference]:
    """Describe whom applicants are compared with, by rising cutoff.

    For a cutoff these are the SHARE of the applicants with the highest probabilities below it, and their typical member
    has the middle of their numbers and the most frequent of their words. It passes as they do: where the middles put
    together would not, the next lower one stands in. The first is the best that the rows have of each field: nobody
    passes a cutoff below its probability.
    """
    numeric = (*NUMERIC, "price", *(PROTECTED_NUMERIC if protected else ()))
    words = (*CATEGORICAL, *(PROTECTED_CATEGORICAL if protected else ()))
    best = _best(columns, predict, numeric, words)
    found = [Reference(float(predict(table_of(best))[0]), best)]
    probabilities = np.asarray(predict(columns), dtype=np.float64)
    for cutoff, rows in _just_passed(probabilities):
        applicant = {name: float(np.nanmedian(columns[name][rows])) for name in numeric}
        applicant |= {name: _most_frequent(columns[name][rows]) for name in words}
        passes = float(predict(table_of(applicant))[0]) <= cutoff
        if passes and cutoff > found[-1].review_above:
            found.append(Reference(cutoff, applicant))
    return found


def _just_passed(probabilities: NDArray[np.float64]) -> Iterator[tuple[float, NDArray[np.intp]]]:
    """Give cutoffs, rising, each with the rows that just pass it."""
    order = np.argsort(probabilities, kind="stable")
    size = min(len(order), max(FEWEST, round(SHARE * len(order))))
    for last in np.unique(np.linspace(size, len(order), STEPS).astype(int)).tolist():
        rows = order[last - size : last]
        yield float(probabilities[rows[-1]]), rows


def _best(columns: Columns, predict: Predict, numeric: tuple[str, ...], words: tuple[str, ...]) -> dict[str, Any]:
    """Put the best of each field together."""
    best: dict[str, Any] = {
        name: float(np.nanmin(columns[name]) if MONOTONE.get(name, -1) > 0 else np.nanmax(columns[name]))
        for name in numeric
    }
    best |= {name: _most_frequent(columns[name]) for name in words}
    for name in words:
        choices = [{**best, name: word} for word in sorted(set(columns[name].tolist()) - {UNKNOWN})]
        best = min(choices, key=lambda choice: float(predict(table_of(choice))[0]))
    return best


def _most_frequent(words: NDArray[Any]) -> str:
    counts = Counter(str(word) for word in words if word != UNKNOWN)
    return min(counts, key=lambda word: (-counts[word], word))
