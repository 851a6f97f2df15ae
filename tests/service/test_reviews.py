"""Reviews and outcomes over HTTP: on record beside their decisions, for those who have the right."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from credit_risk.commands.cli import cli
from credit_risk.contract.event import RecordedOutcome, RecordedReview
from credit_risk.record.event_file import EventFiles
from credit_risk.record.events import NOT_RECORDED
from credit_risk.serving.routes import OUTCOME, route_of
from credit_risk.serving.routes import REVIEW as REVIEW_ROUTE
from credit_risk.serving.settings import load_settings
from tests.corpus import SAMPLE

TODAY = datetime.now(UTC).date().isoformat()
REVIEW = {"status": "APPROVED", "reviewer": "m.ito"}
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def maybe(client: TestClient) -> str:
    """The id of a decision that awaits a review."""
    answer = client.post("/classify", json=SAMPLE).json()
    assert answer["Status"] == "MAYBE"
    decision_id: str = answer["decision_id"]
    return decision_id


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_a_review_and_an_outcome_are_answered_and_on_record(client: TestClient, maybe: str) -> None:
    body = REVIEW | {"note": HOSTILE}
    answer = client.post(f"/decisions/{maybe}/review", json=body, headers={"x-request-id": "r-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (201, "r-1")
    assert RecordedReview.model_validate_json(answer.content).note == HOSTILE
    again = client.post(f"/decisions/{maybe}/review", json=body)
    assert (again.status_code, again.content) == (200, answer.content)
    paid = client.post(f"/decisions/{maybe}/outcome", json={"outcome": "repaid", "date": TODAY})
    assert RecordedOutcome.model_validate_json(paid.content).decision_id == maybe
    told = json.loads(run("decision", maybe, "--json"))
    assert told["status"] == "APPROVED"
    assert [each["request_id"] for each in told["reviews"]] == ["r-1"]
    assert [each["outcome"] for each in told["outcomes"]] == ["repaid"]
    assert all(each["seal"].startswith("holds: signed at") for each in told["reviews"] + told["outcomes"])
    sheet = run("decision", maybe)
    assert f"Decision {maybe}: MAYBE, then APPROVED by a person\n" in sheet
    assert f"  note                    {HOSTILE}\n" in sheet


def test_a_notice_gives_the_reasons_of_the_person_who_declined(client: TestClient, maybe: str) -> None:
    body = {"status": "DECLINED", "reviewer": "m.ito", "reason_codes": ["V02", "R04"], "note": HOSTILE}
    assert client.post(f"/decisions/{maybe}/review", json=body).status_code == 201
    letter = run("decision", maybe, "--notice")
    assert "  - Unable to verify credit references\n  - Income insufficient for amount requested\n\n" in letter
    assert "script" not in letter
    assert "m.ito" not in letter


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("review", {"status": "APPROVED"}, 400, "1 fault in the review: reviewer"),
        ("review", {"status": "DECLINED", "reviewer": "a"}, 400, "1 fault in the review: reason_codes"),
        ("review", [], 400, "The body is no review"),
        ("outcome", {"outcome": "repaid", "date": "soon"}, 400, "1 fault in the outcome: date"),
        ("outcome", {"outcome": "repaid", "date": TODAY}, 409, "The decision is MAYBE and awaits a review"),
    ],
)
def test_what_can_not_be_is_refused(
    client: TestClient, maybe: str, path: str, body: Any, status: int, said: str
) -> None:
    answer = client.post(f"/decisions/{maybe}/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
    assert json.loads(run("decision", maybe, "--json"))["reviews"] == []


def test_what_is_not_there_is_not_found(client: TestClient, maybe: str) -> None:
    unknown = "01a1f846-be8a-76fb-b12b-52a70f17da92"
    for path in (f"{unknown}/review", "x/review", f"{maybe}%2f..%2fx/review"):
        assert client.post(f"/decisions/{path}", json=REVIEW).status_code == 404, path
    for path in (maybe, f"{maybe}/", f"{maybe}/reviews", f"{maybe}/review/"):
        assert client.post(f"/decisions/{path}", json=REVIEW).status_code == 404, path
    answer = client.get(f"/decisions/{maybe}/review")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_log_that_can_not_be_written_takes_no_review(
    client: TestClient, maybe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(EventFiles, "write", fail)
        answer = client.post(f"/decisions/{maybe}/review", json=REVIEW)
    assert (answer.status_code, answer.json()["error"]) == (503, NOT_RECORDED)
    assert client.post(f"/decisions/{maybe}/review", json=REVIEW).status_code == 201


def test_requests_are_counted_by_what_they_are() -> None:
    known = {REVIEW_ROUTE, OUTCOME}
    assert route_of("/decisions/01a1f846/review", known) == "/decisions/{id}/review"
    assert route_of("/decisions/01a1f846/outcome", known) == "/decisions/{id}/outcome"
    assert route_of("/decisions/01a1f846/x", known) == route_of("/decisions/", known) == "other"


def test_commands_do_the_same(maybe: str) -> None:
    assert run("review", maybe, "APPROVED", "--reviewer", "m.ito").startswith("Recorded review ")
    assert run("review", maybe, "APPROVED", "--reviewer", "m.ito").startswith("On record already as review ")
    folder = load_settings().decision_log
    assert run("outcome", maybe, "repaid", "--date", TODAY, "--log", folder).startswith("Recorded outcome ")
    for arguments, said in (
        (["review", maybe, "DECLINED", "--reviewer", "x"], "reason_codes: required to decline"),
        (["review", maybe, "APPROVED", "--reviewer", "x"], "The loan has an outcome on record"),
        (["outcome", maybe, "repaid", "--date", "soon"], "date: must be a date such as"),
        (["outcome", maybe, "repaid", "--date", TODAY, "--log", "/nowhere"], "there is no decision log /nowhere"),
    ):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 1
        assert said in " ".join(result.output.split())


def test_keys_decide_or_review_and_none_does_both() -> None:
    from credit_risk.serving.http.access import Access
    from credit_risk.serving.keys import Key
    from tests.serving.http.unused import unused_limits

    async def behind(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    digests = {right: sha256(right.encode()).hexdigest() for right in ("decide", "review")}
    keys = {right: Key.model_validate({"sha256": digest, "right": right}) for right, digest in digests.items()}
    app = Access(behind, lambda: keys, unused_limits(), open_metrics=True, largest_job=1)
    client = TestClient(app)

    def status(right: str, path: str) -> int:
        return client.post(path, headers={"authorization": f"Bearer {right}"}).status_code

    for path in ("/classify", "/classify_batch", "/classify_array", "/classify_table", "/jobs", "/jobs/1/result"):
        assert (status("decide", path), status("review", path)) == (200, 403)
    for path in ("/decisions/1/review", "/decisions/1/outcome"):
        assert (status("decide", path), status("review", path)) == (403, 200)
    assert (status("decide", "/openapi.json"), status("review", "/openapi.json")) == (200, 200)
    refused = client.post("/classify", headers={"authorization": "Bearer review"}).json()
    assert refused == {"error": "This API key may put reviews and outcomes on record, and nothing else", "detail": []}
