"""What Swagger UI shows, and that it is true."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from credit_risk.serving.http.job_forms import INPUT_FORMS
from credit_risk.serving.http.openapi import describe


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


def test_the_document_has_two_addresses_and_lists_one(client: TestClient, document: dict[str, Any]) -> None:
    assert client.get("/docs.json").json() == document
    assert {path for path in document["paths"] if path.endswith(".json")} == {"/model-card.json", "/openapi.json"}


def test_whatever_is_listed_to_get_is_there(client: TestClient, document: dict[str, Any]) -> None:
    listed = [path for path, methods in document["paths"].items() if "get" in methods and "{" not in path]
    assert {"/jobs", "/model-card", "/model-card.json", "/openapi.json", "/metrics"} <= set(listed)
    for path in listed:
        assert client.get(path).status_code == 200, path


def test_the_examples_are_decided(client: TestClient, document: dict[str, Any]) -> None:
    [example] = document["components"]["schemas"]["CreditApplication"]["examples"]
    assert client.post("/classify", json=example).status_code == 200


def test_missing_values_are_nullable_and_nothing_else_is(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["CreditApplication"]["properties"]
    nullable = {name for name, field in fields.items() if {"type": "null"} in field.get("anyOf", [])}
    assert nullable == {"income", "assets", "debt"}
    assert fields["records"]["enum"] == ["no", "yes"]
    assert fields["age"]["minimum"] == 18


def test_the_answers_are_described_and_errors_as_they_come(client: TestClient, document: dict[str, Any]) -> None:
    for path in ("/classify", "/classify_batch", "/classify_array", "/classify_table"):
        responses = document["paths"][path]["post"]["responses"]
        of_a_job = {"202", "429", "507"} if path == "/classify" else set()
        assert set(responses) == {"200", "400", "401", "403", "408", "409", "413", "422", "500", "503"} | of_a_job
        assert responses["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
    described = document["components"]["schemas"]
    error = client.post("/classify", content=b"{}").json()
    assert set(error) == set(described["Error"]["properties"])
    assert set(error["detail"][0]) == set(described["ErrorDetail"]["properties"])
    example = described["CreditApplication"]["examples"][0]
    decision = client.post("/classify", json={**example, "reference": "A-1"}).json()
    assert set(decision) == set(described["Decision"]["properties"])


def test_a_job_is_described_as_it_comes(client: TestClient, document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["JobDocument"]
    answer = client.post("/jobs", json=[document["components"]["schemas"]["CreditApplication"]["examples"][0]])
    assert answer.status_code == 202
    assert set(answer.json()) == set(described["properties"]) - {"callback"} == set(described["required"])
    assert set(answer.json()) == set(described["examples"][0])
    accepted = document["paths"]["/jobs"]["post"]["responses"]["202"]
    assert set(accepted["headers"]) <= {name.title() for name in answer.headers}
    assert client.delete(answer.headers["location"]).json()["state"] == "cancelled"
    assert client.delete(answer.headers["location"]).status_code == 204


def test_every_file_that_is_described_is_taken(client: TestClient, document: dict[str, Any]) -> None:
    bodies = document["paths"]["/jobs"]["post"]["requestBody"]["content"]
    assert set(bodies) == set(INPUT_FORMS)
    for media_type, body in bodies.items():
        if "example" in body:
            answer = client.post("/jobs", content=body["example"], headers={"content-type": media_type})
            assert answer.status_code == 202, media_type
            client.delete(answer.headers["location"])


def test_an_application_becomes_a_job_if_its_caller_prefers_so(client: TestClient, document: dict[str, Any]) -> None:
    [example] = document["components"]["schemas"]["CreditApplication"]["examples"]
    answer = client.post("/classify", json=example, headers={"prefer": "respond-async"})
    accepted = document["paths"]["/classify"]["post"]["responses"]["202"]
    assert answer.status_code == 202
    assert set(accepted["headers"]) <= {name.title() for name in answer.headers}
    client.delete(answer.headers["location"])


def test_jobs_are_described_only_if_they_are_on() -> None:
    without = describe("credit_risk_classifier")
    assert not [path for path in without["paths"] if path.startswith("/jobs")]
    assert "202" not in without["paths"]["/classify"]["post"]["responses"]
    assert "JobDocument" not in without["components"]["schemas"]
    assert "Idempotency-Key" not in str(without)
    assert [tag["name"] for tag in without["tags"]] == ["Decisions", "Infrastructure"]


def test_every_reference_leads_somewhere(client: TestClient, document: dict[str, Any]) -> None:
    found = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', client.get("/openapi.json").text))
    assert {"CreditApplication", "Decision", "Error"} <= found <= set(document["components"]["schemas"])


def test_the_page_asks_nobody_else_for_anything(client: TestClient) -> None:
    page = client.get("/").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 2
    for source in sources:
        assert source.startswith("./static_content/")
        assert client.get(source[1:]).status_code == 200
    assert "//" not in page
