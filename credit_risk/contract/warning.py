"""Warnings: what is odd about an application that is possible, and is therefore scored all the same."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.application import CreditApplication


class ApplicationWarning(BaseModel):
    """Something odd about an application that was scored all the same."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[str, Field(description="Stable, for programs.", examples=["amount_above_price"])]
    text: Annotated[str, Field(description="For people.", examples=["amount is more than the price"])]


def _warning(code: str, text: str) -> ApplicationWarning:
    return ApplicationWarning(code=code, text=text)


# The range that the training data covers (0.5 % to 99.9 % of its rows). Outside it the model extrapolates.
USUAL_RANGES: dict[str, tuple[int, int]] = {
    "seniority": (0, 44),
    "time": (6, 60),
    "age": (18, 66),
    "expenses": (35, 152),
    "income": (0, 764),
    "assets": (0, 116_000),
    "debt": (0, 15_300),
    "amount": (100, 4000),
    "price": (211, 6609),
}
RARELY_UNKNOWN = ("home", "marital", "job")  # `unk` occurs in few rows of the training data
YOUNGEST_WORKER = 14  # years
MOST_TIMES_AMOUNT = 6  # that the price is; 99.5 % of the training data is below
TERM_STEP = 6  # months; every term in the training data is a multiple of it
_UNUSUAL = {
    name: _warning(f"{name}_unusual", f"{name} is outside the {low} to {high} that the model was trained on")
    for name, (low, high) in USUAL_RANGES.items()
}
_RANGES = [(name, *USUAL_RANGES[name], warning) for name, warning in _UNUSUAL.items()]
_UNKNOWN = {name: _warning(f"{name}_unknown", f"{name} is unk, seen in few training rows") for name in RARELY_UNKNOWN}
_INCOME_UNVERIFIED = _warning("income_unverified", "income is null or 0: nothing is known to come in")
_TERM_OFF_GRID = _warning("time_off_grid", "time is not a multiple of 6 months, as all of the training data is")
_SENIORITY_ABOVE_AGE = _warning("seniority_above_age", "seniority would have begun before the age of 14")
_AMOUNT_ABOVE_PRICE = _warning("amount_above_price", "amount is more than the price of what it is to buy")
_PRICE_FAR_ABOVE = _warning("price_far_above_amount", f"price is over {MOST_TIMES_AMOUNT} times the amount: verify it")
_ASSETS_UNVERIFIED = _warning("assets_unverified", "assets is null: the score takes it for the worst")
_DEBT_UNVERIFIED = _warning("debt_unverified", "debt is null: the score takes it for the worst")
WARNINGS = (
    *_UNUSUAL.values(),
    *_UNKNOWN.values(),
    *(_INCOME_UNVERIFIED, _TERM_OFF_GRID, _SENIORITY_ABOVE_AGE, _AMOUNT_ABOVE_PRICE),
    *(_PRICE_FAR_ABOVE, _ASSETS_UNVERIFIED, _DEBT_UNVERIFIED),
)


def warnings_of(application: CreditApplication) -> list[ApplicationWarning]:
    """List what is odd about an application, in the order of WARNINGS. The list is empty for nearly all."""
    values = application.__dict__
    found = []
    for name, low, high, warning in _RANGES:
        value = values[name]
        if value is not None and not low <= value <= high:
            found.append(warning)
    for name, warning in _UNKNOWN.items():
        if values[name] == "unk":
            found.append(warning)
    if not values["income"]:
        found.append(_INCOME_UNVERIFIED)
    if values["time"] % TERM_STEP:
        found.append(_TERM_OFF_GRID)
    age = values["age"]
    if age is not None and values["seniority"] > age - YOUNGEST_WORKER:
        found.append(_SENIORITY_ABOVE_AGE)
    if values["amount"] > values["price"]:
        found.append(_AMOUNT_ABOVE_PRICE)
    if values["price"] > MOST_TIMES_AMOUNT * values["amount"]:
        found.append(_PRICE_FAR_ABOVE)
    if values["assets"] is None:
        found.append(_ASSETS_UNVERIFIED)
    if values["debt"] is None:
        found.append(_DEBT_UNVERIFIED)
    return found
