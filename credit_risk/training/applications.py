"""The rows of a table as applications."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.model.table import Columns, applications_of

ROWS_AT_ONCE = 10_000


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
            return applications_of({field: self.columns[field][rows] for field in FIELDS})
        row = range(len(self))[rows]
        return self[row : row + 1][0]

    def take(self, rows: NDArray[np.int64]) -> Applications:
        """Give the applications in these rows."""
        return Applications({field: self.columns[field][rows] for field in FIELDS})
