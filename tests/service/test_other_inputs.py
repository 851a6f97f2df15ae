"""The tutorial's other inputs: rows of numbers and tables are decided as the applications that they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction import DictVectorizer
from starlette.testclient import TestClient

from credit_risk.contract.application import EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.warning import USUAL_RANGES
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.corpus import SAMPLE
from tests.model.test_features import APPLICATIONS
from tests.tables import as_csv, records, rows_of, split, vectorizer_of

TABLES = {"records": records, "split": split, "csv": as_csv}
CONTENT_TYPES = {"records": "application/json", "split": "application/json", "csv": "text/csv"}
OF_AGE_AND_MARITAL_STATUS = ("age_unusual", "marital_unknown", "seniority_above_age")  # warnings
N = 1000
with_client = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@pytest.fixture(scope="session")
def vectorizer(model: StoredModel) -> DictVectorizer:
    return vectorizer_of(model)


def decisions(client: TestClient, path: str, body: bytes, content_type: str = "application/json") -> Any:
    response = client.post(path, content=body, headers={"content-type": content_type})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def without_ids(answers: Sequence[dict[str, Any]], *warnings: str) -> list[dict[str, Any]]:
    """Leave out what differs between equal decisions, and these warnings."""
    return [
        {name: value for name, value in answer.items() if name not in ("decision_id", "warnings")}
        | {"warnings": [warning for warning in answer["warnings"] if warning["code"] not in warnings]}
        for answer in answers
    ]


def assert_all_equal(client: TestClient, vectorizer: DictVectorizer, applications: list[CreditApplication]) -> None:
    batch = decisions(client, "/classify_batch", records(applications))
    for form, write in TABLES.items():
        assert without_ids(decisions(client, "/classify_table", write(applications), CONTENT_TYPES[form])) == (
            without_ids(batch)
        )
    rows = json.dumps(rows_of(vectorizer, applications)).encode()
    answers = decisions(client, "/classify_array", rows)
    assert without_ids(answers) == without_ids(batch, *OF_AGE_AND_MARITAL_STATUS)
    assert len({answer["decision_id"] for answer in [*batch, *answers]}) == 2 * len(applications)


def with_short_money(application: CreditApplication) -> CreditApplication:
    """With as many digits as the vectorizer's float32 keeps."""
    money = {name: getattr(application, name) for name in ("income", "assets", "debt")}
    short = {name: None if value is None else round(value % 10_000, 1) for name, value in money.items()}
    return application.model_copy(update=short)


@given(applications=st.lists(APPLICATIONS.map(with_short_money), min_size=1, max_size=10))
@with_client
def test_all_forms_are_decided_alike(
    client: TestClient, vectorizer: DictVectorizer, applications: list[CreditApplication]
) -> None:
    assert_all_equal(client, vectorizer, applications)


def test_a_thousand_rows_are_decided_alike(client: TestClient, vectorizer: DictVectorizer, synthetic: Dataset) -> None:
    assert_all_equal(client, vectorizer, synthetic.applications[:N])


def test_one_row_alone_has_one_decision(client: TestClient, vectorizer: DictVectorizer) -> None:
    [row] = rows_of(vectorizer, [EXAMPLE])
    answer = decisions(client, "/classify_array", json.dumps(row).encode())
    whole = client.post("/classify", json=SAMPLE).json()
    assert without_ids([answer]) == without_ids([whole])
    assert [answer["Status"]] == [d["Status"] for d in decisions(client, "/classify_array", json.dumps([row]).encode())]


@pytest.mark.parametrize(
    ("path", "body"), [("/classify_array", b"[]"), ("/classify_table", b"[]"), ("/classify_table", split([]))]
)
def test_no_rows_have_no_decisions(client: TestClient, path: str, body: bytes) -> None:
    assert decisions(client, path, body) == []


def test_the_model_card_lists_the_features_in_their_order(client: TestClient, vectorizer: DictVectorizer) -> None:
    features = client.get("/model-card.json").json()["features"]
    assert list(features) == list(vectorizer.get_feature_names_out())


def test_csv_is_read_whatever_its_content_type_says(client: TestClient) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert len(decisions(client, "/classify_table", as_csv([EXAMPLE] * 2), content_type)) == 2


def bad_rows(vectorizer: DictVectorizer) -> bytes:
    [row] = rows_of(vectorizer, [EXAMPLE])
    return json.dumps([row, [31417.0, *row[1:]]]).encode()


@pytest.mark.parametrize("form", [*TABLES, "rows"])
def test_a_bad_row_is_refused_unscored_and_unlogged(
    client: TestClient,
    vectorizer: DictVectorizer,
    logged: pytest.LogCaptureFixture,
    scored_rows: list[int],
    form: str,
) -> None:
    bad = EXAMPLE.model_copy(update={"seniority": 31417})
    path = "/classify_table" if form in TABLES else "/classify_array"
    body = TABLES[form]([EXAMPLE, bad]) if form in TABLES else bad_rows(vectorizer)
    response = client.post(path, content=body, headers={"content-type": CONTENT_TYPES.get(form, "application/json")})
    assert response.status_code == 400
    assert response.json()["detail"][0]["loc"][0] == 1
    assert scored_rows == []
    assert "31417" not in response.text + logged.text


def test_warnings_about_the_rest_are_given_for_rows(client: TestClient, vectorizer: DictVectorizer) -> None:
    odd = EXAMPLE.model_copy(update={"age": 99, "marital": "unk", "seniority": USUAL_RANGES["seniority"][1] + 1})
    answers = decisions(client, "/classify_array", json.dumps(rows_of(vectorizer, [odd])).encode())
    assert [w["code"] for w in answers[0]["warnings"]] == ["seniority_unusual", "income_unverified"]


def test_the_examples_of_the_document_are_decided(client: TestClient) -> None:
    content = client.get("/openapi.json").json()["paths"]["/classify_table"]["post"]["requestBody"]["content"]
    assert len(decisions(client, "/classify_table", content["text/csv"]["example"].encode(), "text/csv")) == 1
    split_form = content["application/json"]["schema"]["anyOf"][1]
    assert split_form["properties"]["columns"]["items"]["enum"] == [*FIELDS, "customer", "reference"]
