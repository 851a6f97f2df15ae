from __future__ import annotations

from typing import Any

import pytest

from credit_risk.contract.application import CreditApplication, ScoredApplication
from credit_risk.contract.warning import USUAL_RANGES, warnings_of
from tests.corpus import SAMPLE

USUAL = {**SAMPLE, "income": 129.0, "debt": 0.0, "assets": 3000.0}


def codes(**changes: Any) -> list[str]:
    return [warning.code for warning in warnings_of(CreditApplication(**{**USUAL, **changes}))]


def test_nothing_is_odd_about_a_usual_application() -> None:
    assert codes() == []


@pytest.mark.parametrize("field", USUAL_RANGES)
def test_a_value_outside_the_usual_range_is_named(field: str) -> None:
    low, high = USUAL_RANGES[field]
    for value in (low, high):
        assert f"{field}_unusual" not in codes(**{field: value})
    assert f"{field}_unusual" in codes(**{field: high + 1})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"income": 0.0}, "income_unverified"),
        ({"income": None}, "income_unverified"),
        ({"home": "unk"}, "home_unknown"),
        ({"marital": "unk"}, "marital_unknown"),
        ({"job": "unk"}, "job_unknown"),
        ({"time": 37}, "time_off_grid"),
        ({"seniority": 13}, "seniority_above_age"),
        ({"amount": 1001}, "amount_above_price"),
        ({"amount": 166}, "price_far_above_amount"),
        ({"assets": None}, "assets_unverified"),
        ({"debt": None}, "debt_unverified"),
    ],
)
def test_what_is_odd_is_named(changes: dict[str, Any], code: str) -> None:
    assert codes(**changes) == [code]


def test_nothing_is_odd_about_an_age_that_is_not_on_record() -> None:
    application = ScoredApplication(**{**USUAL, "age": None, "marital": None, "seniority": 44})
    assert warnings_of(application) == []


def test_warnings_do_not_echo_values() -> None:
    warnings = warnings_of(CreditApplication(**{**USUAL, "income": 31417.0}))
    assert all("31417" not in warning.text for warning in warnings)
    assert len(warnings) == 1
