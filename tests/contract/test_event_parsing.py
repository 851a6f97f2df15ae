"""Reviews and outcomes as they are sent: taken, or refused with the fix of each fault."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.event import Outcome, Review
from credit_risk.contract.event_parsing import parse_outcome, parse_review, reasons_of
from tests.conftest import PROJECT

CATALOGUE = load_catalogue(PROJECT / "reasons.yaml")


def declined(codes: list[str]) -> Review:
    return Review(status="DECLINED", reviewer="m.ito", reason_codes=codes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda each: st.lists(each, max_size=3)
)


@given(
    st.dictionaries(st.sampled_from([*Review.model_fields, *Outcome.model_fields, "x"]), JSON, max_size=5).map(
        json.dumps
    )
    | st.text()
)
@settings(max_examples=300)
def test_whatever_comes_is_taken_or_refused(body: str) -> None:
    for parse, kind in ((parse_review, Review), (parse_outcome, Outcome)):
        told: list[Detail] | None = None
        try:
            assert isinstance(parse(body.encode()), kind)
        except InvalidRequestError as error:
            told = error.detail
        assert told is None or all(detail["msg"] for detail in told)
        assert told != []


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ('{"status":"MAYBE","reviewer":"a"}', "status", "must be APPROVED or DECLINED"),
        ('{"status":"APPROVED","reviewer":"a\\u001b[2J"}', "reviewer", "printable"),
        ('{"status":"APPROVED","reviewer":"a","note":"\\u0000"}', "note", "printable"),
        ('{"status":"APPROVED","reviewer":"a","reviewer":"b"}', "reviewer", "given more than once"),
        ('{"status":"APPROVED"}', "reviewer", "required"),
        ('{"status":"APPROVED","reviewer":"a","income":1}', "income", "not a field"),
        ('{"status":"DECLINED","reviewer":"a","reason_codes":["V01","V01"]}', "reason_codes", "each once"),
    ],
)
def test_each_fault_of_a_review_is_named(body: str, field: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_review(body.encode())
    [detail] = refused.value.detail
    assert detail["loc"] == [field]
    assert said in detail["msg"]


@pytest.mark.parametrize("codes", [[], ["X01"], ["R18"], ["R19", "V01"]])
def test_to_decline_takes_reasons_that_may_be_told(codes: list[str]) -> None:
    with pytest.raises(InvalidRequestError):
        reasons_of(declined(codes), CATALOGUE)
    assert [reason.code for reason in reasons_of(declined(["V01", "R04"]), CATALOGUE)] == ["V01", "R04"]
