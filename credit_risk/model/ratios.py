"""Features that relate the fields of an application to each other, of one application or of a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import CreditApplication
from credit_risk.model.table import Columns

MONTHS_OF_DEBT = 100  # over which a debt is paid back, as the data's own repository has it
EARLIER_RATIO = "repay_capacity"  # in models on record that an earlier version saved


def _financing_ratio(application: CreditApplication) -> float:
    return application.amount / application.price


def _free_income_ratio(application: CreditApplication) -> float:
    """The free income of a month over the amount."""
    return _free_income(application) / application.amount


def _repay_capacity(application: CreditApplication) -> float:
    return _free_income(application) / (application.amount / application.time)


def _free_income(application: CreditApplication) -> float:
    """What is left of a month's income, at least 0: below, a larger amount would look better."""
    if application.income is None or application.debt is None:
        return math.nan
    return max(0.0, application.income - application.expenses - application.debt / MONTHS_OF_DEBT)


def _free_incomes(columns: Columns) -> NDArray[np.float64]:
    free = columns["income"] - columns["expenses"] - columns["debt"] / MONTHS_OF_DEBT
    return np.maximum(0.0, free)


class Ratio(NamedTuple):
    """A feature that is computed from several fields."""

    fields: tuple[str, ...]
    of_application: Callable[[CreditApplication], float]
    of_columns: Callable[[Columns], NDArray[np.float64]]  # of a table of n rows, (n,)


RATIO_BY_NAME = {
    "financing_ratio": Ratio(
        ("amount", "price"), _financing_ratio, lambda columns: columns["amount"] / columns["price"]
    ),
    "free_income_ratio": Ratio(
        ("income", "expenses", "debt", "amount"),
        _free_income_ratio,
        lambda columns: _free_incomes(columns) / columns["amount"],
    ),
    EARLIER_RATIO: Ratio(
        ("income", "expenses", "debt", "amount", "time"),
        _repay_capacity,
        lambda columns: _free_incomes(columns) / (columns["amount"] / columns["time"]),
    ),
}
