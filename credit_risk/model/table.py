"""Applications as a table: an array for each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import CATEGORIES, FIELDS, NULLABLE, CreditApplication

Columns = Mapping[str, NDArray[Any]]  # one array a field: float64 with NaN for missing, or words
_WHOLE = [field for field in FIELDS if field not in NULLABLE and field not in CATEGORIES]


def columns_of(applications: Sequence[CreditApplication]) -> dict[str, NDArray[Any]]:
    """Turn applications into a table of n rows."""
    values = [application.__dict__ for application in applications]
    return {
        field: np.array([row[field] for row in values], dtype=object if field in CATEGORIES else np.float64)
        for field in FIELDS
    }


def table_of(applicant: Mapping[str, Any]) -> Columns:
    """Make a table of one applicant from its fields, or from some of them."""
    return {
        name: np.array([value], dtype=object if isinstance(value, str) else np.float64)
        for name, value in applicant.items()
    }


def applications_of(columns: Columns) -> list[CreditApplication]:
    """Turn a table into applications. Its cells are those of checked applications."""
    typed = {field: columns[field] for field in FIELDS}
    for field in _WHOLE:
        typed[field] = typed[field].astype(np.int64)
    for field in NULLABLE:
        typed[field] = np.where(np.isnan(typed[field]), None, typed[field])  # type: ignore[call-overload]
    cells = zip(*[typed[field].tolist() for field in FIELDS], strict=True)
    return [CreditApplication.model_validate(dict(zip(FIELDS, row, strict=True))) for row in cells]
