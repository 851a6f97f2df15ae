from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_risk.contract.customer import Asked, Referenced
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH, MAX_DETAILS
from credit_risk.contract.parsing import parse_application, parse_applications, parse_in_parts
from credit_risk.contract.parts import PART_BYTES
from tests.corpus import BAD, GOOD, SAMPLE, Bad, body_of


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(BAD) >= 80


@pytest.mark.parametrize("name", GOOD)
def test_a_good_body_is_an_application(name: str) -> None:
    application = parse_application(GOOD[name])
    assert application.model_dump() == json.loads(GOOD[name])


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_body_is_refused_by_field_and_fix_without_its_value(bad: Bad) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(bad.body)
    details = refused.value.detail
    at_fault = [detail for detail in details if detail["loc"] == ([] if bad.field is None else [bad.field])]
    assert any(bad.fix in detail["msg"] for detail in at_fault), details
    assert bad.secret is None or bad.secret not in refused.value.body.decode()


def test_the_error_body_is_json_of_error_and_detail() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(BAD["income: numeric string"].body)
    assert json.loads(refused.value.body) == {
        "error": "1 fault in the application: income",
        "detail": [
            {
                "loc": ["income"],
                "msg": "must be a number from 0 to 100000, without quotes, or null if it is unknown",
                "type": "float_type",
            }
        ],
    }


def test_a_wrapped_application_has_one_fault() -> None:
    wrapped = json.dumps({"credit_application": SAMPLE}).encode()
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(wrapped)
    assert str(refused.value) == "1 fault in the application: credit_application"
    fix = {"msg": "send the fields themselves, without this object around them", "type": "wrapped"}
    assert refused.value.detail == [{"loc": ["credit_application"], **fix}]
    with pytest.raises(InvalidRequestError) as refused:
        list(parse_in_parts(b"[" + GOOD["nulls"] + b"," + wrapped + b"]"))
    assert refused.value.detail == [{"loc": [1, "credit_application"], **fix}]


@pytest.mark.parametrize("around", [{"a": {"b": 1}}, {"a": SAMPLE, "b": SAMPLE}, {"a": SAMPLE, "age": 26}, {"a": 1}])
def test_what_is_not_just_wrapped_has_all_its_faults(around: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(json.dumps(around).encode())
    assert len(refused.value.detail) > 12


def test_a_batch_keeps_its_order() -> None:
    bodies = list(GOOD.values())
    applications = parse_applications(b"[" + b",".join(bodies) + b"]")
    assert applications == [parse_application(body) for body in bodies]


def test_an_empty_batch_is_a_batch() -> None:
    assert parse_applications(b"[]") == []


@pytest.mark.parametrize("name", [name for name, bad in BAD.items() if bad.field is not None])
def test_a_fault_in_a_batch_is_located(name: str) -> None:
    good, bad = GOOD["nulls"], BAD[name]
    with pytest.raises(InvalidRequestError) as refused:
        parse_applications(b"[" + b",".join([good, good, bad.body]) + b"]")
    assert [2, bad.field] in [detail["loc"] for detail in refused.value.detail]


def test_an_object_is_not_a_batch() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_applications(GOOD["the tutorial's sample"])
    assert "JSON array" in refused.value.detail[0]["msg"]


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_applications(json.dumps([SAMPLE] * (MAX_BATCH + 1)).encode())
    assert f"at most {MAX_BATCH}" in refused.value.detail[0]["msg"]


def test_of_a_batch_the_first_application_at_fault_is_named() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_applications(json.dumps([SAMPLE] * 7 + [{**SAMPLE, "age": 1, "job": "x"}] * 500).encode())
    expected = "2 faults in the application at position 7, the first that is refused: age, job"
    assert str(refused.value) == expected
    assert [detail["loc"] for detail in refused.value.detail] == [[7, "age"], [7, "job"]]


def test_what_is_no_application_at_all_is_named_by_its_position() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_applications(b"[null, null]")
    assert str(refused.value) == "1 fault in the application at position 0, the first that is refused"


def test_faults_are_listed_up_to_a_limit() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(json.dumps(dict.fromkeys(map(str, range(500)), 1)).encode())
    assert str(refused.value).startswith("513 faults")
    assert len(refused.value.detail) == MAX_DETAILS


def test_a_long_unknown_key_is_cut() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_application(json.dumps({**SAMPLE, "k" * 10_000: 1}).encode())
    assert len(refused.value.body) < 1000


def in_parts(body: bytes) -> list[Asked | Referenced]:
    return [application for part in parse_in_parts(body) for application in part]


def outcome(parse: Callable[[bytes], Sequence[Asked | Referenced]], body: bytes) -> list[Asked | Referenced] | None:
    """The applications; None where the body is refused."""
    try:
        return list(parse(body))
    except InvalidRequestError:
        return None


LONG = b",\n ".join([body_of(seniority=number % 60) for number in range(500)])


def test_a_long_batch_is_parsed_in_parts() -> None:
    assert len(list(parse_in_parts(b"[" + LONG + b"]"))) == -(-len(LONG) // (PART_BYTES + 200)) > 5
    assert in_parts(b" [" + LONG + b"] ") == parse_applications(b"[" + LONG + b"]")


@given(
    cut=st.lists(st.integers(0, len(LONG) - 1), max_size=3),
    put=st.sampled_from([b"", b",", b"]", b"[", b"}", b"{", b"},", b",{", b'"', b" ", b"\\", b'"}"', b"null", b"\xff"]),
    take=st.integers(0, 3),
)
@settings(max_examples=300)
def test_in_parts_or_whole_any_body_is_the_same(cut: list[int], put: bytes, take: int) -> None:
    body = b"[" + LONG + b"]"
    for position in cut:
        body = body[: position + 1] + put + body[position + 1 + take :]
    assert outcome(in_parts, body) == outcome(parse_applications, body)


@pytest.mark.parametrize("body", [b"", b"[", b"]", b"[]", b"[,]", b"[" + LONG + b",]", b"[" + LONG, b"{" + LONG + b"}"])
def test_the_ends_of_a_body_are_seen(body: bytes) -> None:
    assert outcome(in_parts, body) == outcome(parse_applications, body)


def test_too_large_a_batch_is_refused_in_parts_too() -> None:
    body = json.dumps([SAMPLE] * (MAX_BATCH + 1)).encode()
    assert outcome(in_parts, body) == outcome(parse_applications, body)


@pytest.mark.parametrize("position", [0, 250, 499])
@pytest.mark.parametrize("fault", [b'"age": 1', b'"age": 26, "age": 26', b'"age": 026'])
def test_in_parts_a_fault_is_where_it_is_in_the_whole(position: int, fault: bytes) -> None:
    applications = LONG.split(b",\n ")
    applications[position] = applications[position].replace(b'"age": 26', fault)
    body = b"[" + b",".join(applications) + b"]"
    with pytest.raises(InvalidRequestError) as whole:
        parse_applications(body)
    with pytest.raises(InvalidRequestError) as parts:
        in_parts(body)
    assert parts.value.body == whole.value.body
