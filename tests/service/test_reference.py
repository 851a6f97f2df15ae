"""The lender's own id of an application: it is answered and recorded, and nothing follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from credit_risk.contract.record import DecisionRecord
from credit_risk.serving.settings import load_settings
from tests.corpus import SAMPLE
from tests.records import decision_lines
from tests.replay.logs import run

SECRET = "A-31417</script>"
WAYS = [{}, {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}]


def records_by_id() -> dict[str, DecisionRecord]:
    lines = decision_lines(Path(load_settings().decision_log))
    return {record.decision_id: record for record in map(DecisionRecord.model_validate_json, lines)}


def without(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("decision_id", "reference")}


@pytest.mark.parametrize("way", WAYS, ids=["fast", "long"])
def test_a_reference_is_answered_last_and_on_record(client: TestClient, way: dict[str, str]) -> None:
    plain = client.post("/classify", json=SAMPLE, headers=way).json()
    answer = client.post("/classify", json={"reference": SECRET, **SAMPLE}, headers=way).json()
    assert list(answer) == [*plain, "reference"]
    assert answer["reference"] == SECRET
    assert without(answer) == without(plain)
    records = records_by_id()
    assert records[answer["decision_id"]].reference == SECRET
    assert records[plain["decision_id"]].reference is None


def test_each_application_of_a_batch_has_its_own_and_equal_ones_are_scored_once(
    client: TestClient, scored_rows: list[int], tmp_path: Path
) -> None:
    references = ["A-1", None, "A-2", "A-1"]
    body = [SAMPLE | ({} if reference is None else {"reference": reference}) for reference in references]
    answers = client.post("/classify_batch", json=body).json()
    assert scored_rows == [1]
    assert [answer.get("reference") for answer in answers] == references
    assert "reference" not in answers[1]
    assert len({json.dumps(without(answer)) for answer in answers}) == 1
    records = records_by_id()
    recorded = [records[answer["decision_id"]] for answer in answers]
    assert [record.reference for record in recorded] == references
    lines = [record.model_dump_json(by_alias=True, exclude_unset=True) + "\n" for record in recorded]
    (tmp_path / "decisions.ndjson").write_text("".join(lines))
    assert run(tmp_path / "decisions.ndjson").output == "4 decisions, all identical\n"


def test_a_long_batch_some_parts_of_which_have_none(client: TestClient) -> None:
    references = [f"A-{number}" if number % 200 == 7 else None for number in range(1000)]
    body = [SAMPLE | ({} if reference is None else {"reference": reference}) for reference in references]
    answers = client.post("/classify_batch", json=body).json()
    assert [answer.get("reference") for answer in answers] == references


def test_the_rows_of_a_table_have_references(client: TestClient) -> None:
    rows = [{**SAMPLE, "reference": f"A-{number}"} for number in range(3)]
    csv = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    for body in (json.dumps(rows), csv):
        answers = client.post("/classify_table", content=body).json()
        assert [answer["reference"] for answer in answers] == ["A-0", "A-1", "A-2"]


@pytest.mark.parametrize("reference", ["", "x31417" * 20, "a\n31417", 31417, None])
def test_what_is_no_reference_is_refused_and_named_nowhere(
    client: TestClient, logged: pytest.LogCaptureFixture, reference: object
) -> None:
    answer = client.post("/classify", json={**SAMPLE, "reference": reference})
    assert answer.status_code == 400
    assert answer.json()["detail"] == [
        {
            "loc": ["reference"],
            "msg": "must be a text of 1 to 64 printable characters",
            "type": answer.json()["detail"][0]["type"],
        }
    ]
    assert "31417" not in answer.text + logged.text


def test_a_reference_is_in_no_log_and_no_error(client: TestClient, logged: pytest.LogCaptureFixture) -> None:
    assert client.post("/classify", json={**SAMPLE, "reference": SECRET}).status_code == 200
    refused = client.post("/classify", json={**SAMPLE, "reference": SECRET, "home": "Owner"})
    assert refused.status_code == 400
    assert "31417" not in refused.text + logged.text


def test_a_job_of_one_application_takes_a_reference(client: TestClient) -> None:
    answer = client.post("/classify", json={**SAMPLE, "reference": SECRET}, headers={"prefer": "respond-async"})
    assert answer.status_code == 202
    client.delete(answer.headers["location"])
