"""What Swagger UI shows, and that it is true."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient


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
    listed = [path for path, methods in document["paths"].items() if "get" in methods]
    assert {"/model-card", "/model-card.json", "/openapi.json", "/metrics"} <= set(listed)
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
        assert set(responses) == {"200", "400", "401", "408", "413", "500", "503"}
        assert responses["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
    described = document["components"]["schemas"]
    error = client.post("/classify", content=b"{}").json()
    assert set(error) == set(described["Error"]["properties"])
    assert set(error["detail"][0]) == set(described["ErrorDetail"]["properties"])
    decision = client.post("/classify", json=described["CreditApplication"]["examples"][0]).json()
    assert set(decision) == set(described["Decision"]["properties"])


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
