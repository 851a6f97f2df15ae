"""Applications that name a customer, and what they may leave out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.customer import CustomerApplication
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.parsing import parse_application, parse_asked, parse_in_parts

SAMPLE: dict[str, Any] = EXAMPLE.model_dump()
ON_FILE = frozenset({"seniority", "income", "job"})
SENT = {name: value for name, value in SAMPLE.items() if name not in ON_FILE}
CUSTOMERS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=64).filter(str.isprintable)


def body_of(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def faults(body: bytes, on_file: frozenset[str] = ON_FILE) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as refused:
        parse_asked(body, on_file)
    return {str(detail["loc"][-1]): detail["msg"] for detail in refused.value.detail}


def faults_of_many(body: bytes) -> list[tuple[list[str | int], str]]:
    with pytest.raises(InvalidRequestError) as refused:
        list(parse_in_parts(body, ON_FILE))
    return [(detail["loc"], detail["type"]) for detail in refused.value.detail]


def test_what_is_on_file_may_be_left_out_and_what_is_sent_counts_as_sent() -> None:
    asked = parse_asked(body_of(customer="C-17", **SENT, income=None), ON_FILE)
    assert isinstance(asked, CustomerApplication)
    assert asked.customer == "C-17"
    assert asked.sent == SENT | {"income": None}
    assert asked.lacking == ["seniority", "job"]


def test_a_customer_may_be_named_with_every_field() -> None:
    asked = parse_asked(body_of(customer="C-17", **SAMPLE), ON_FILE)
    assert isinstance(asked, CustomerApplication)
    assert asked.lacking == []


def test_without_a_customer_every_field_is_needed() -> None:
    assert parse_asked(body_of(**SAMPLE), ON_FILE) == EXAMPLE
    assert faults(body_of(**SENT)) == {
        "seniority": "required; send it",
        "income": "required; send null if it is unknown",
        "job": "required; send it",
    }


def test_what_is_not_on_file_is_needed() -> None:
    sent = {name: value for name, value in SENT.items() if name != "amount"}
    assert faults(body_of(customer="C-17", **sent)) == {"amount": "required; send it"}


@pytest.mark.parametrize("customer", ["", "x" * 65, "a\nb", "a\x00", 17, None, True, ["C-17"]])
def test_a_customer_is_a_short_printable_text(customer: Any) -> None:
    found = faults(body_of(customer=customer, **SENT))
    assert found == {"customer": "must be a text of 1 to 64 printable characters"}


def test_a_service_with_nothing_on_file_says_so() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(body_of(customer="C-17", **SAMPLE))
    assert [detail["msg"] for detail in refused.value.detail] == [
        "this service has no fields on file; remove it, and send all fields"
    ]


@pytest.mark.parametrize("twice", ["customer", "amount"])
def test_a_key_may_not_be_given_twice(twice: str) -> None:
    body = body_of(customer="C:17", **SENT).replace(f'"{twice}":'.encode(), f'"{twice}": 1, "{twice}":'.encode())
    assert faults(body) == {twice: "given more than once; send it once"}


@given(CUSTOMERS)
def test_any_printable_customer_is_read_alone_and_in_a_batch(customer: str) -> None:
    one = body_of(customer=customer, **SENT)
    asked = parse_asked(one, ON_FILE)
    assert isinstance(asked, CustomerApplication)
    assert asked.customer == customer
    assert [each for part in parse_in_parts(b"[" + one + b"]", ON_FILE) for each in part] == [asked]


@pytest.mark.parametrize("customer", ["},{", '"},{"', "a:b", "{", "[", '"customer":'])
def test_a_customer_that_looks_like_json_does_not_confuse_a_long_batch(customer: str) -> None:
    filler = body_of(**SAMPLE)
    body = b"[" + b",".join([filler] * 100 + [body_of(customer=customer, **SENT)] * 300 + [filler] * 100) + b"]"
    asked = [each for part in parse_in_parts(body, ON_FILE) for each in part]
    assert asked == [EXAMPLE] * 100 + [CustomerApplication.of(customer, SENT)] * 300 + [EXAMPLE] * 100


def test_a_batch_names_the_application_that_lacks_a_field() -> None:
    whole, named, lacking = body_of(**SAMPLE), body_of(customer="C-17", **SENT), body_of(**SENT)
    found = faults_of_many(b"[" + whole + b"," + named + b"," + lacking + b"]")
    assert found == [([2, name], "missing") for name in ("seniority", "job", "income")]


def test_whole_applications_in_a_batch_with_customers_are_what_they_would_be_alone() -> None:
    body = b"[" + body_of(customer="C-17", **SENT) + b"," + body_of(**SAMPLE) + b"]"
    second = [each for part in parse_in_parts(body, ON_FILE) for each in part][1]
    assert isinstance(second, CreditApplication)
    assert second == EXAMPLE
    assert list(second.__dict__) == list(FIELDS)
    assert second.model_dump_json() == EXAMPLE.model_dump_json()
