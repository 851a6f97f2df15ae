"""The log odds of default that the recipe gives to applications, with the codes of the public file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = 99_999_999
Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]  # (n,) each

# A term "column>k" is max(0, column - k), capped and divided by a unit, so that coefficients are about as large as one.
UNIT = {
    "seniority": 10,
    "income": 100,
    "expenses": 30,
    "assets": 10_000,
    "debt": 1000,
    "amount": 1000,
    "price": 1000,
    "time": 12,
    "age": 10,
    "financing_ratio": 1,
    "repay_capacity": 1,
}
CAP = {"income": 300, "assets": 30_000, "debt": 10_000, "price": 5000}
USUAL_INCOME, USUAL_ASSETS = 120, 3000  # in place of those that are not known


def log_odds(default_logit: Mapping[str, Any], columns: Columns) -> Floats:
    """Compute the log odds of n applications, (n,), by the recipe's block."""
    coefficients = default_logit["coefficients"]
    odds: Floats = default_logit["intercept"] + terms(list(coefficients), columns) @ np.array([*coefficients.values()])
    return odds


def terms(names: Sequence[str], columns: Columns) -> Floats:
    """Compute terms of n applications, (n, terms): splines `column>k`, codes `column=k`, and those in `_named`."""
    values = _values(columns)
    named = _named(columns, values)
    found: list[NDArray[Any]] = []
    for name in names:
        column, spline, knot = name.partition(">")
        field, equals, code = name.partition("=")
        if name in named:
            found.append(named[name])
        elif spline:
            found.append(np.clip(values[column] - float(knot), 0, CAP.get(column)) / UNIT[column])
        elif equals:
            found.append(columns[field] == int(code))
        else:
            raise KeyError(name)
    return np.column_stack(found).astype(np.float64)


def _values(columns: Columns) -> dict[str, Floats]:
    """Give the numbers that splines take, with usual ones in place of those that are not known."""
    unverified = _unverified(columns)
    debt = np.where(columns["debt"] == MISSING, 0, columns["debt"])
    free = np.where(unverified, 0, columns["income"]) - columns["expenses"] - debt / 100
    return {
        **{name: columns[name] for name in ("seniority", "expenses", "amount", "price", "time", "age")},
        "income": np.where(unverified, USUAL_INCOME, columns["income"]),
        "assets": np.where(columns["assets"] == MISSING, USUAL_ASSETS, columns["assets"]),
        "debt": debt,
        "financing_ratio": columns["amount"] / columns["price"],
        "repay_capacity": np.clip(free / (columns["amount"] / columns["time"]), -5, 20),
    }


def _named(columns: Columns, values: Mapping[str, Floats]) -> dict[str, NDArray[np.bool_]]:
    bad_records = columns["records"] == 2
    return {
        "records=yes": bad_records,
        "records*parttime": bad_records & (columns["job"] == 2),
        "records*income<=100": bad_records & (values["income"] <= 100),
        "income_zero_or_missing": _unverified(columns),
        "assets_zero": values["assets"] == 0,
        "debt_positive": values["debt"] > 0,
        **{f"{name}_missing": columns[name] == MISSING for name in ("income", "assets", "debt")},
    }


def _unverified(columns: Columns) -> NDArray[np.bool_]:
    unverified: NDArray[np.bool_] = (columns["income"] == 0) | (columns["income"] == MISSING)
    return unverified
