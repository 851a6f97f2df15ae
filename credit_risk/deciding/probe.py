"""Applications to compare two models by: every category, every kind of unknown, and figures from small to large."""

from __future__ import annotations

from random import Random

from credit_risk.contract.application import CATEGORIES, NULLABLE, CreditApplication

ROWS = 64
_NUMBERS: dict[str, tuple[int, ...]] = {
    "seniority": (0, 1, 2, 4, 8, 15, 30),
    "time": (6, 12, 24, 36, 48, 60, 72),
    "age": (18, 25, 32, 40, 50, 65),
    "expenses": (0, 35, 45, 60, 75, 100, 180),
    "income": (0, 50, 90, 125, 170, 250, 900),
    "assets": (0, 1_000, 3_000, 6_000, 20_000, 100_000),
    "debt": (0, 500, 2_000, 9_000),
    "amount": (100, 500, 900, 1_100, 1_500, 3_000),
    "price": (200, 900, 1_300, 1_700, 2_500, 6_000),
}


def probe_applications() -> list[CreditApplication]:
    """Make the applications, always the same ones."""
    values: dict[str, tuple[object, ...]] = {**CATEGORIES}
    for field, numbers in _NUMBERS.items():
        values[field] = (*map(float, numbers), None) if field in NULLABLE else numbers
    random = Random(0)
    return [
        CreditApplication.model_validate({field: random.choice(choices) for field, choices in values.items()})
        for _ in range(ROWS)
    ]
