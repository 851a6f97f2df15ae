"""Applications with a reference, the lender's own id of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.customer import CustomerApplication, Part, Referenced, is_reference
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.parsing import parse_application, parse_asked, parse_in_parts
from credit_risk.contract.tables import parse_table
from tests.contract.test_customer import CUSTOMERS as REFERENCES
from tests.contract.test_customer import ON_FILE, SAMPLE, SENT, body_of

FILES = [None, ON_FILE]


def all_of(parts: Any) -> list[Any]:
    found: list[Part] = list(parts)
    return [each for part in found for each in part]


def faults(body: bytes, on_file: frozenset[str] | None = None) -> list[tuple[list[str | int], str]]:
    parse: Any = parse_asked if body.startswith(b"{") else lambda *given: list(parse_in_parts(*given))
    with pytest.raises(InvalidRequestError) as refused:
        parse(body, on_file)
    return [(detail["loc"], detail["msg"]) for detail in refused.value.detail]


@pytest.mark.parametrize("on_file", FILES)
@given(reference=REFERENCES)
def test_any_printable_reference_is_read_alone_and_in_a_batch(on_file: frozenset[str] | None, reference: str) -> None:
    one = body_of(reference=reference, **SAMPLE)
    assert parse_asked(one, on_file) == Referenced(EXAMPLE, reference)
    other = body_of(**SAMPLE)
    assert all_of(parse_in_parts(b"[" + other + b"," + one + b"]", on_file)) == [
        Referenced(EXAMPLE, None),
        Referenced(EXAMPLE, reference),
    ]
    assert is_reference(reference)


def test_an_application_with_a_reference_is_what_it_would_be_without() -> None:
    asked = parse_asked(body_of(reference="A-1", **SAMPLE))
    assert isinstance(asked, Referenced)
    assert isinstance(asked.application, CreditApplication)
    assert asked.application.model_dump_json() == EXAMPLE.model_dump_json()


def test_a_customers_application_may_have_a_reference() -> None:
    body = body_of(customer="C-17", reference="A-1", **SENT)
    assert parse_asked(body, ON_FILE) == Referenced(CustomerApplication.of("C-17", SENT), "A-1")
    assert parse_asked(body_of(customer="reference", **SENT), ON_FILE) == Referenced(
        CustomerApplication.of("reference", SENT), None
    )


@pytest.mark.parametrize("reference", ["", "x" * 65, "a\nb", "a\x00", 31417, None, True, ["A-1"], "a\u2028b"])
@pytest.mark.parametrize("on_file", FILES)
def test_a_reference_is_a_short_printable_text(reference: Any, on_file: frozenset[str] | None) -> None:
    fix = "must be a text of 1 to 64 printable characters"
    body = body_of(reference=reference, **SAMPLE)
    assert faults(body, on_file) == [(["reference"], fix)]
    assert faults(b"[" + body_of(**SAMPLE) + b"," + body + b"]", on_file) == [([1, "reference"], fix)]
    assert not is_reference(reference)


@pytest.mark.parametrize("twice", ["reference", "amount"])
@pytest.mark.parametrize("on_file", FILES)
def test_a_key_may_not_be_given_twice(twice: str, on_file: frozenset[str] | None) -> None:
    body = body_of(reference="A:1", **SAMPLE).replace(f'"{twice}":'.encode(), f'"{twice}": 1, "{twice}":'.encode())
    assert faults(body, on_file) == [([twice], "given more than once; send it once")]


def test_a_reference_lets_no_field_be_left_out() -> None:
    for on_file in FILES:
        assert (["income"], "required; send null if it is unknown") in faults(body_of(reference="A-1", **SENT), on_file)


def test_a_service_with_nothing_on_file_takes_no_customer_with_a_reference() -> None:
    fix = "this service has no fields on file; remove it, and send all fields"
    assert faults(body_of(customer="C-17", reference="A-1", **SENT)) == [(["customer"], fix)]


@pytest.mark.parametrize("reference", ["},{", '"},{"', "a:b", "{", "[", '"reference":', "</script>"])
@pytest.mark.parametrize("on_file", FILES)
def test_a_reference_that_looks_like_json_does_not_confuse_a_long_batch(
    reference: str, on_file: frozenset[str] | None
) -> None:
    filler = body_of(**SAMPLE)
    body = b"[" + b",".join([filler] * 200 + [body_of(reference=reference, **SAMPLE)] * 300 + [filler] * 200) + b"]"
    found = [
        each if isinstance(each, Referenced) else Referenced(each, None)
        for each in all_of(parse_in_parts(body, on_file))
    ]
    assert (
        found
        == [Referenced(EXAMPLE, None)] * 200
        + [Referenced(EXAMPLE, reference)] * 300
        + [Referenced(EXAMPLE, None)] * 200
    )


@given(st.lists(st.booleans(), max_size=300))
def test_the_items_of_a_part_have_all_a_reference_or_none(have: list[bool]) -> None:
    body = json.dumps([{**SAMPLE, **({"reference": "A-1"} if has else {})} for has in have]).encode()
    for part in parse_in_parts(body):
        assert len({type(each) for each in part}) <= 1


def test_a_table_may_have_references() -> None:
    names, cells = [*SAMPLE, "reference"], [*SAMPLE.values(), "A-1"]
    expected = [Referenced(EXAMPLE, "A-1")] * 2
    split = json.dumps({"columns": names, "data": [cells] * 2}).encode()
    csv = "\n".join([",".join(names), *[",".join(map(str, cells))] * 2]).encode()
    records = json.dumps([dict(zip(names, cells, strict=True))] * 2).encode()
    for on_file in FILES:
        for body in (split, csv, records):
            assert all_of(parse_table(body, on_file)) == expected
    with pytest.raises(InvalidRequestError, match="1 fault in the columns"):
        list(parse_table(csv.replace(b"reference", b"reference,reference", 1).replace(b"A-1", b"A-1,A-2")))
    with pytest.raises(InvalidRequestError, match="position 0, the first that is refused: reference"):
        list(parse_table(csv.replace(b"A-1", b"")))


def test_a_reference_under_another_spelling_is_not_dropped() -> None:
    body = body_of(reference="A-1", **SAMPLE).replace(b"reference", b"\\u0072eference")
    assert faults(body) == [(["reference"], "not a field of an application; remove it")]
    with pytest.raises(InvalidRequestError):
        parse_application(body_of(reference="A-1", **SAMPLE))
