from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from credit_risk.contract.application import CATEGORIES, EXAMPLE, FIELDS, NULLABLE, CreditApplication
from tests.corpus import SAMPLE, raw

WHOLE = [field for field in FIELDS if field not in CATEGORIES and field not in NULLABLE]


def test_the_fields_are_those_of_the_tutorial_in_its_order() -> None:
    assert list(FIELDS) == list(SAMPLE)


def test_the_example_is_the_tutorials_sample() -> None:
    assert EXAMPLE.model_dump() == SAMPLE


def test_categories_and_nullable_fields_are_those_of_the_model() -> None:
    fields = CreditApplication.model_fields
    assert {name: get_args(fields[name].annotation) for name in CATEGORIES} == CATEGORIES
    assert tuple(name for name in FIELDS if type(None) in get_args(fields[name].annotation)) == NULLABLE


@pytest.mark.parametrize("field", WHOLE)
@given(number=st.integers(18, 60))
def test_a_whole_number_may_be_written_as_a_float(field: str, number: int) -> None:
    expected = CreditApplication.model_validate(SAMPLE | {field: number})
    for written in (f"{number}", f"{number}.0", f"{number}.000", f"{number}e0", f"{number * 10}e-1"):
        application = CreditApplication.model_validate_json(raw(field, written))
        assert application == expected
        assert type(getattr(application, field)) is int


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("written", ["36.5", "36.000001", '"36"', "true", "null", "NaN", "1e400", "[36]"])
def test_nothing_else_is_a_whole_number(field: str, written: str) -> None:
    with pytest.raises(ValidationError):
        CreditApplication.model_validate_json(raw(field, written))


def test_the_schema_says_integer_with_bounds() -> None:
    described = CreditApplication.model_json_schema()["properties"]
    for field in WHOLE:
        assert described[field]["type"] == "integer"
        assert described[field]["minimum"] < described[field]["maximum"]
