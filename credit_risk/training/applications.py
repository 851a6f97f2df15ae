"""The rows of a table as applications."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import CATEGORIES, FIELDS, NULLABLE, CreditApplication
from credit_risk.model.features import Columns

ROWS_AT_ONCE = 10_000
_WHOLE = [field for field in FIELDS if field not in NULLABLE and field not in CATEGORIES]


class Applications(Sequence[CreditApplication]):
    """Checked applications in a table of n rows. Each is made when it is asked for: a million would fill gigabytes."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["amount"])

    def __iter__(self) -> Iterator[CreditApplication]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self[start : start + ROWS_AT_ONCE]

    @overload
    def __getitem__(self, rows: int) -> CreditApplication: ...

    @overload
    def __getitem__(self, rows: slice) -> list[CreditApplication]: ...

    def __getitem__(self, rows: int | slice) -> CreditApplication | list[CreditApplication]:
        if isinstance(rows, slice):
            return _applications({field: self.columns[field][rows] for field in FIELDS})
        row = range(len(self))[rows]
        return self[row : row + 1][0]

    def take(self, rows: NDArray[np.int64]) -> Applications:
        """Give the applications in these rows."""
        return Applications({field: self.columns[field][rows] for field in FIELDS})


def _applications(columns: Columns) -> list[CreditApplication]:
    typed = dict(columns)
    for field in _WHOLE:
        typed[field] = typed[field].astype(np.int64)
    for field in NULLABLE:
        typed[field] = np.where(np.isnan(typed[field]), None, typed[field])  # type: ignore[call-overload]
    cells = zip(*[typed[field].tolist() for field in FIELDS], strict=True)
    return [CreditApplication.model_validate(dict(zip(FIELDS, row, strict=True))) for row in cells]
