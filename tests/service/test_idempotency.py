"""Asking again with the same Idempotency-Key: the service in process."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.testclient import TestClient

from credit_risk.deciding.decided import Decided
from credit_risk.jobs.ids import new_id
from credit_risk.jobs.store import JobStore, StoreError
from credit_risk.record.files import RecordFiles
from credit_risk.serving import once as module
from credit_risk.serving.idempotency import KEPT_SECONDS, name_of
from credit_risk.serving.job_store import open_store
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.once import Once
from credit_risk.serving.settings import load_settings
from tests.corpus import SAMPLE
from tests.records import decision_lines

SAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
WAYS: list[dict[str, str]] = [{}, SAMPLED]
OTHER = {**SAMPLE, "amount": 801}
BODIES: dict[str, Any] = {
    "/classify": {**SAMPLE, "reference": "A-1</script>\u00e9"},
    "/classify_batch": [SAMPLE, OTHER, {**SAMPLE, "reference": "A-2"}],
    "/classify_table": [SAMPLE, SAMPLE],
}


@pytest.fixture
def key() -> str:
    return str(uuid4())


@pytest.fixture
def store() -> Iterator[JobStore]:
    store = open_store(load_settings())
    yield store
    store.leave()


def ask(client: TestClient, key: str, body: Any = SAMPLE, path: str = "/classify", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer: httpx.Response = client.post(path, content=content, headers={"idempotency-key": key, **headers})  # type: ignore[assignment]
    return answer


def ids_in(answer: httpx.Response) -> list[str]:
    decisions = answer.json()
    return [each["decision_id"] for each in (decisions if isinstance(decisions, list) else [decisions])]


def records() -> Counter[str]:
    return Counter(json.loads(line)["decision_id"] for line in decision_lines(Path(load_settings().decision_log)))


def is_again(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotency-replayed") == "true")


@pytest.mark.parametrize("way", WAYS, ids=["fast", "long"])
@pytest.mark.parametrize("path", BODIES)
def test_asking_again_gives_the_same_bytes_and_no_second_record(
    client: TestClient, key: str, path: str, way: dict[str, str], scored_rows: list[int]
) -> None:
    first = ask(client, key, BODIES[path], path, **way)
    assert first.status_code == 200
    assert not is_again(first)
    before, scored = records(), len(scored_rows)
    for number in range(3):
        again = ask(client, key, BODIES[path], path, **{"x-request-id": f"r-{number}"})
        assert (again.status_code, again.content, is_again(again)) == (200, first.content, True)
        assert again.headers["x-request-id"] == f"r-{number}"
        assert again.headers["content-type"] == "application/json"
    assert records() == before
    assert len(scored_rows) == scored
    assert all(before[each] == 1 for each in ids_in(first))


def test_rows_of_numbers_are_decided_once(client: TestClient, key: str) -> None:
    row = [800, 60000, 3000, 35, 0.8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 3, 36]
    for number, body in enumerate((row, [row, row])):
        first = ask(client, f"{key}{number}", body, "/classify_array")
        assert first.status_code == 200
        assert ask(client, f"{key}{number}", body, "/classify_array").content == first.content


def test_another_request_with_the_key_is_refused(client: TestClient, key: str) -> None:
    first = ask(client, key)
    for answer in (ask(client, key, OTHER), ask(client, key, json.dumps(SAMPLE).encode() + b" ")):
        assert answer.status_code == 422
        assert answer.json()["error"] == "Send another Idempotency-Key: this one came with another request before"
    assert ask(client, key, [SAMPLE], "/classify_batch").status_code == 422
    assert ask(client, key).content == first.content


def test_a_key_is_for_a_job_or_for_a_decision(client: TestClient, key: str) -> None:
    assert ask(client, key).status_code == 200
    job = {"idempotency-key": key, "prefer": "respond-async"}
    assert client.post("/classify", json=SAMPLE, headers=job).status_code == 422
    taken = client.post("/classify", json=SAMPLE, headers=job | {"idempotency-key": key + "j"})
    assert taken.status_code == 202
    assert ask(client, key + "j").status_code == 422
    client.delete(taken.headers["location"])


@pytest.mark.parametrize("bad", ["", "x" * 256])
@pytest.mark.parametrize("way", WAYS, ids=["fast", "long"])
def test_a_key_has_1_to_255_characters(client: TestClient, bad: str, way: dict[str, str]) -> None:
    answer = ask(client, bad, **way)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Send an Idempotency-Key of 1 to 255 characters"


def test_a_refused_request_leaves_the_key_free(client: TestClient, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(client, key, b"{}").status_code == 400

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RecordFiles, "_file_for", full)
        assert ask(client, key).status_code == 503
    answer = ask(client, key)
    assert (answer.status_code, is_again(answer)) == (200, False)


def test_a_key_under_way_is_told_to_wait(client: TestClient, key: str, store: JobStore) -> None:
    crash(store, key, time.time())
    answer = ask(client, key, b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert "under way" in answer.json()["error"]


def crash(store: JobStore, key: str, since: float, body: bytes = b"x", path: str = "classify") -> None:
    """Leave the claim of a request that ended with its worker."""
    claim = module.Claim(new_id(), sha256(path.encode() + b"\n" + body).hexdigest(), since)
    assert store.claim_key(name_of(None, key), claim.text, KEPT_SECONDS) is None


def test_a_claim_whose_request_is_over_is_decided_by_the_next(client: TestClient, key: str, store: JobStore) -> None:
    body = json.dumps(SAMPLE).encode()
    crash(store, key, time.time() - 14, body)
    assert ask(client, key, body).status_code == 409
    store.drop_key(name_of(None, key))
    crash(store, key, time.time() - 15.1, body)
    first, again = ask(client, key, body), ask(client, key, body)
    assert (first.status_code, is_again(first)) == (200, False)
    assert (again.content, is_again(again)) == (first.content, True)


@pytest.mark.parametrize("path", BODIES)
def test_a_decision_on_record_that_nobody_was_told_is_told_as_it_was(
    client: TestClient, key: str, store: JobStore, path: str
) -> None:
    first = ask(client, key, BODIES[path], path)
    age(store, key)
    before = records()
    again = ask(client, key, BODIES[path], path)
    assert (again.status_code, again.content, is_again(again)) == (200, first.content, True)
    assert records() == before


def age(store: JobStore, key: str) -> None:
    """Make it so that the worker was killed before the answer was kept, long ago."""
    found = store.claim_key(name_of(None, key), "", 60)
    assert found
    seed, fingerprint, _ = json.loads(found.partition("\n")[0])
    store.set_key(name_of(None, key), module.Claim(seed, fingerprint, time.time() - 60).text, KEPT_SECONDS)


def test_what_lacks_of_a_batch_that_is_on_record_in_part_is_decided(
    client: TestClient, key: str, store: JobStore
) -> None:
    batch = [SAMPLE, OTHER, {**SAMPLE, "reference": "A-2"}]
    first = ask(client, key, batch, "/classify_batch")
    ids = ids_in(first)
    forget(ids[1])
    age(store, key)
    again = ask(client, key, batch, "/classify_batch")
    assert (again.content, is_again(again)) == (first.content, False)
    assert [records()[each] for each in ids] == [1, 1, 1]


def forget(decision_id: str) -> None:
    """Take a line out of the log."""
    for path in Path(load_settings().decision_log).glob("decisions-*"):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if decision_id.encode() not in line]
        if kept != lines:
            path.write_bytes(b"".join(kept))


def test_a_failure_after_the_record_is_answered_from_it(
    client: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = [SAMPLE, OTHER]

    def fail(*_: object) -> None:
        raise RuntimeError

    before = sum(records().values())
    with monkeypatch.context() as patched:
        patched.setattr("credit_risk.deciding.rendering.AnswerRenderer.answer", fail)
        assert ask(client, key, body, "/classify_batch").status_code == 500
    again = ask(client, key, body, "/classify_batch")
    assert (again.status_code, is_again(again)) == (200, True)
    assert sum(records().values()) == before + 2


def test_a_store_that_fails_after_the_record_does_not_keep_the_answer_back(
    client: TestClient, key: str, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "replace_key", fail)
        first = ask(client, key)
        assert first.status_code == 200
    assert ask(client, key).status_code == 409
    age(store, key)
    assert ask(client, key).content == first.content


def test_a_store_that_does_not_answer_refuses_before_anything_is_decided(
    client: TestClient, key: str, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("gone")

    before = records()
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "claim_key", fail)
        answer = ask(client, key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"] == "Idempotency keys can't be kept or looked up now"
    assert records() == before
    assert client.post("/classify", json=SAMPLE).status_code == 200


@pytest.mark.parametrize("path", ["/classify", "/classify_batch"])
def test_what_takes_too_long_is_not_recorded(
    client: TestClient, key: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service import svc

    before = records()
    with monkeypatch.context() as patched:
        patched.setattr(once_of(svc.endpoints), "_seconds", -1.0)
        answer = ask(client, key, BODIES[path], path)
    assert answer.status_code == 503
    assert answer.json()["error"] == "The request took too long to be decided; ask again with the same Idempotency-Key"
    assert records() == before
    assert ask(client, key, BODIES[path], path).status_code == 409  # for it may still be under way elsewhere


def test_without_a_store_the_header_is_refused_with_the_fix(
    client: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service import svc

    monkeypatch.setattr(once_of(svc.endpoints), "_open_store", None)
    answer = ask(client, key)
    assert answer.status_code == 400
    fix = "leave it out, or let CREDIT_RISK_JOBS say where keys are kept"
    assert answer.json()["error"] == f"This service keeps no Idempotency-Key: {fix}"


def once_of(endpoints: Any) -> Once:
    once: Once = endpoints._once
    return once


def test_decisions_are_counted_once(client: TestClient, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    count = Metrics.decided

    def decided(metrics: Metrics, decisions: Sequence[Decided]) -> None:
        counted.append(len(decisions))
        count(metrics, decisions)

    monkeypatch.setattr(Metrics, "decided", decided)
    for path in ("/classify", "/classify_batch"):
        assert [ask(client, key + path, BODIES[path], path).status_code for _ in range(3)] == [200] * 3
    assert counted == [1, 3]


def test_no_key_and_no_applicant_is_logged(client: TestClient, logged: pytest.LogCaptureFixture, key: str) -> None:
    ask(client, key, {**SAMPLE, "income": 31417.0})
    ask(client, key, {**SAMPLE, "income": 31418.0})
    assert key not in logged.text
    assert "3141" not in logged.text
