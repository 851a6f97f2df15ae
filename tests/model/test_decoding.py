from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import DictVectorizer

from credit_risk.contract.application import CATEGORIES, EXAMPLE, CreditApplication
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH
from credit_risk.model.decoding import Decoder
from credit_risk.model.features import Encoder, features_of
from tests.model.test_features import APPLICATIONS
from tests.tables import rows_of

NEITHER = {"age": None, "marital": None}
EVERY_WORD = [
    EXAMPLE.model_copy(update={field: word}) for field, words in CATEGORIES.items() for word in words if word != "unk"
]


def vectorizer_of(dtype: Any, *, protected: bool = False) -> DictVectorizer:
    vectorizer = DictVectorizer(sparse=False, dtype=dtype)
    return vectorizer.fit([features_of(application, protected=protected) for application in EVERY_WORD])


DOUBLE, SINGLE, PROTECTED = (
    vectorizer_of(np.float64),
    vectorizer_of(np.float32),
    vectorizer_of(np.float64, protected=True),
)
ENCODER = Encoder.of(DOUBLE)
DECODER = Decoder(ENCODER.names)
MONEY = st.none() | st.integers(0, 999_999).map(lambda cents: cents / 100)  # as many digits as float32 keeps
IN_SINGLE = st.builds(
    lambda application, income, assets, debt: application.model_copy(
        update={"income": income, "assets": assets, "debt": debt}
    ),
    APPLICATIONS,
    *[MONEY] * 3,
)


def decoded(rows: Any, decoder: Decoder = DECODER) -> list[CreditApplication]:
    return [application for part in decoder.parse_in_parts(json.dumps(rows).encode()) for application in part]


def row_of(application: CreditApplication = EXAMPLE, **changes: float | None) -> list[float | None]:
    [row] = rows_of(DOUBLE, [application])
    cells = dict(zip(ENCODER.names, row, strict=True)) | {name.replace("_is_", "="): v for name, v in changes.items()}
    assert len(cells) == len(row)
    return list(cells.values())


def faults(row: Any) -> list[Detail]:
    with pytest.raises(InvalidRequestError) as refused:
        decoded([row_of(), row])
    assert "31417" not in refused.value.body.decode()
    with pytest.raises(InvalidRequestError) as alone:
        DECODER.parse_row(json.dumps(row).encode())
    assert [d["loc"] for d in alone.value.detail] == [d["loc"][1:] for d in refused.value.detail]
    return refused.value.detail


def of_float64(application: CreditApplication) -> bool:
    """Whether its row tells that it is not of float32, as most ratios do."""
    return rows_of(DOUBLE, [application]) != rows_of(SINGLE, [application])


@given(applications=st.lists(APPLICATIONS.filter(of_float64), min_size=1, max_size=5))
def test_a_row_of_a_dict_vectorizer_is_its_application_again(applications: list[CreditApplication]) -> None:
    found = decoded(rows_of(DOUBLE, applications))
    assert [a.model_dump() for a in found] == [a.model_dump() | NEITHER for a in applications]
    assert [*map(ENCODER.encode, found)] == [*map(ENCODER.encode, applications)]


@given(application=IN_SINGLE)
def test_a_row_of_float32_is_its_application_again(application: CreditApplication) -> None:
    [found] = decoded(rows_of(SINGLE, [application]))
    assert found.model_dump() == application.model_dump() | NEITHER
    encoded = ENCODER.encode(application)
    [again] = decoded([[None if np.isnan(x) else float(x) for x in np.frombuffer(encoded, np.float32)]])
    assert ENCODER.encode(again) == encoded


@given(application=APPLICATIONS)
def test_no_honest_row_of_float32_is_refused(application: CreditApplication) -> None:
    [found] = decoded(rows_of(SINGLE, [application]))
    assert found.price == application.price


@given(application=APPLICATIONS.filter(of_float64))
def test_a_model_that_uses_age_and_marital_status_gives_them_back(application: CreditApplication) -> None:
    decoder = Decoder(Encoder.of(PROTECTED).names)
    [found] = decoded(rows_of(PROTECTED, [application], protected=True), decoder)
    assert found == application


def test_a_word_without_a_column_is_the_only_one_that_is_left() -> None:
    seen = [application for application in EVERY_WORD if application.home != "other"]
    vectorizer = DictVectorizer(sparse=False).fit([features_of(application, protected=False) for application in seen])
    [row] = rows_of(vectorizer, [EXAMPLE.model_copy(update={"home": "other"})])
    assert decoded([row], Decoder(Encoder.of(vectorizer).names))[0].home == "other"


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"home_is_owner": 0.0}, "home", "home=other, one must be 1 and the others 0, or all null if it is unknown"),
        ({"home_is_rent": 1.0}, "home", "one must be 1 and the others 0"),
        ({"home_is_owner": 0.5}, "home", "one must be 1 and the others 0"),
        ({"home_is_owner": 31417.0}, "home", "one must be 1 and the others 0"),
        ({"home_is_rent": None}, "home", "one must be 1 and the others 0"),
        ({"records_is_no": None, "records_is_yes": None}, "records", "one must be 1 and the others 0"),
        ({"seniority": 3.5}, "seniority", "must be a whole number from 0 to 60"),
        ({"seniority": None}, "seniority", "must be a whole number from 0 to 60"),
        ({"time": 31417.0}, "time", "must be a whole number from 1 to 120"),
        ({"amount": None}, "amount", "must be a whole number from 1 to 100000"),
        ({"income": -1.0}, "income", "must be a number from 0 to 100000"),
        ({"assets": 99_999_999.0}, "assets", "a missing value is null"),
        ({"financing_ratio": 0.0}, "financing_ratio", "must be amount / price"),
        ({"financing_ratio": -0.8}, "financing_ratio", "must be amount / price"),
        ({"financing_ratio": None}, "financing_ratio", "must be amount / price"),
        ({"financing_ratio": 800.0 / 1000.4}, "financing_ratio", "of a whole price from 1 to 1000000"),
        ({"financing_ratio": 1e-320}, "financing_ratio", "of a whole price from 1 to 1000000"),
        ({"financing_ratio": 1e308}, "financing_ratio", "of a whole price from 1 to 1000000"),
        ({"free_income_ratio": 0.31417}, "free_income_ratio", "income - expenses - debt / 100"),
        ({"free_income_ratio": None}, "free_income_ratio", "income - expenses - debt / 100"),
        ({"income": None}, "free_income_ratio", "null if one is null"),
    ],
)
def test_what_a_row_can_not_mean_is_refused_by_row_feature_and_fix(
    changes: dict[str, Any], field: str, fix: str
) -> None:
    [fault] = faults(row_of(**changes))
    assert fault["loc"] == [1, field]
    assert fix in fault["msg"]


def test_all_faults_of_the_first_row_at_fault_are_told() -> None:
    found = faults(row_of(home_is_owner=0.0, time=0.0, financing_ratio=None))
    assert [fault["loc"][1] for fault in found] == ["home", "financing_ratio", "time"]


@pytest.mark.parametrize("cell", ["31417", True, float("nan"), float("inf"), [31417], {"a": 31417}])
def test_what_is_no_number_is_refused(cell: Any) -> None:
    found = faults([*row_of()[:3], cell, *row_of()[4:]])
    assert [fault["loc"] for fault in found] == [[1, ENCODER.names[3]]]
    assert found[0]["msg"] == "must be a number, without quotes, or null if it is unknown"


@pytest.mark.parametrize("row", [row_of()[:-1], [*row_of(), 31417.0], [*row_of(), "31417"], [31417]])
def test_a_row_of_another_length_has_one_fault(row: list[Any]) -> None:
    [fault] = faults(row)
    assert fault["loc"] == [1]
    assert f"has {len(row)} numbers; send {len(ENCODER.names)} numbers in each row" in fault["msg"]
    assert "/model-card.json" in fault["msg"]


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b"", "not valid JSON (EOF"),
        (b"{}", "send 21 numbers in each row"),
        (b"31417", "send 21 numbers in each row"),
        (b"null", "send 21 numbers in each row"),
        (b"[[1], 5]", "send 21 numbers in each row"),
        (b"[[]]", "has 0 numbers"),
        (b"[5, [1]]", "send 21 numbers in each row"),
        (b"[[1, 2", "not valid JSON (EOF while parsing a list at line 1 column 6)"),
        (b"[[1],]", "not valid JSON (trailing comma at line 1 column 6)"),
        (b"[" * 60_000, "and nothing else"),
        (b"[[" + b"1," * 100_000 + b"1]]", "and nothing else"),
    ],
)
def test_what_is_no_rows_is_refused_with_its_fix(body: bytes, fix: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        list(DECODER.parse_in_parts(body))
    [fault] = refused.value.detail
    assert fix in fault["msg"]


def test_many_rows_come_in_parts_and_faults_have_their_place_in_the_whole() -> None:
    rows = [row_of()] * MAX_BATCH
    assert len(list(DECODER.parse_in_parts(json.dumps(rows).encode()))) >= 40
    with pytest.raises(InvalidRequestError, match="Too many applications"):
        decoded([*rows, row_of()])
    with pytest.raises(InvalidRequestError, match=f"position {MAX_BATCH - 1}"):
        decoded([*rows[1:], row_of(time=0.0)])
    lines = json.dumps(rows).replace("], [", "],\n[").encode()
    with pytest.raises(InvalidRequestError) as refused:
        list(DECODER.parse_in_parts(lines[:-2] + b"x]]"))
    assert f"at line {MAX_BATCH} column" in refused.value.detail[0]["msg"]
