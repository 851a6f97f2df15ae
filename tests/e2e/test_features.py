"""Applications of customers on file, over a real server with the store that needs none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.conftest import PROJECT, user_environment
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving
from tests.e2e.mishaps import hang_up
from tests.e2e.test_serve import assert_it_refuses_to_start
from tests.records import decision_lines

ON_FILE = ("seniority", "home", "age", "marital", "records", "job", "expenses", "income", "assets")
SENT = {name: value for name, value in SAMPLE.items() if name not in ON_FILE}
CUSTOMER = "customer-of-the-test"
SOME = {"debt": 0, "amount": 800, "price": 1000, "time": 36}


class Lender(NamedTuple):
    """A lender's folder, and the service that uses it."""

    folder: Path
    server: Server

    def ask(self, path: str = "/classify", *, json: Any) -> httpx2.Response:
        return httpx2.post(f"{self.server.url}{path}", json=json)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in decision_lines(self.folder / "decisions")]


def load(folder: Path, *rows: dict[str, Any]) -> None:
    file = folder / "customers.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("features", "load", str(file), "--to", store_of(folder))


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/features.sqlite"


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "credit_risk", *arguments]
    result = subprocess.run(command, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lender]:
    folder = tmp_path_factory.mktemp("lender")
    shutil.copy(PROJECT / "features.yaml", folder / "features.yaml")
    row = {"customer": CUSTOMER, **{name: SAMPLE[name] for name in ON_FILE}}
    load(folder, row)
    with serving(
        CREDIT_RISK_FEATURES=store_of(folder),
        CREDIT_RISK_FEATURES_FILE=str(folder / "features.yaml"),
        CREDIT_RISK_FEATURES_CACHE_SIZE="0",
        CREDIT_RISK_DECISION_LOG=str(folder / "decisions"),
    ) as server:
        yield Lender(folder, server)


def without_id(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name != "decision_id"}


def test_a_customer_is_decided_as_if_every_field_were_sent(lender: Lender) -> None:
    whole = without_id(lender.ask(json=SAMPLE))
    assert without_id(lender.ask(json={"customer": CUSTOMER, **SENT})) == whole
    assert without_id(lender.ask(json={"customer": CUSTOMER, **SAMPLE})) == whole
    referenced = lender.ask(json={"customer": CUSTOMER, "reference": "A-1", **SENT})
    assert without_id(referenced) == whole | {"reference": "A-1"}
    batch = lender.ask("/classify_batch", json=[SAMPLE, {"customer": CUSTOMER, **SENT}])
    assert [{**each, "decision_id": ""} for each in batch.json()] == [{**whole, "decision_id": ""}] * 2


def test_without_the_fast_path_the_answer_is_the_same(lender: Lender) -> None:
    traced = httpx2.post(
        f"{lender.server.url}/classify",
        json={"customer": CUSTOMER, **SENT},
        headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    )
    assert without_id(traced) == without_id(lender.ask(json={"customer": CUSTOMER, **SENT}))


def test_who_is_not_on_file_is_told_what_to_send(lender: Lender) -> None:
    answer = lender.ask(json={"customer": "nobody-of-the-test", **SENT})
    assert answer.status_code == 422
    assert {detail["loc"][0] for detail in answer.json()["detail"]} == set(ON_FILE) - {"assets"}
    assert {detail["type"] for detail in answer.json()["detail"]} == {"not_on_file"}
    batch = lender.ask("/classify_batch", json=[SAMPLE, {"customer": "nobody-of-the-test", **SENT}])
    assert batch.status_code == 422
    assert batch.json()["detail"][0]["loc"][0] == 1


def test_what_may_be_missing_makes_it_a_case_for_a_person(lender: Lender) -> None:
    good = SAMPLE | {"seniority": 20, "income": 500.0, "job": "fixed", "assets": 100_000.0, "debt": 0.0}
    assert lender.ask(json=good).json()["Status"] == "APPROVED"
    lacking = {name: value for name, value in good.items() if name != "debt"}
    answer = lender.ask(json={"customer": CUSTOMER, **lacking}).json()
    assert answer["Status"] == "MAYBE"
    assert answer["reasons"][0]["code"] == "P05"


def test_the_record_names_the_customer_and_the_log_does_not(lender: Lender) -> None:
    answer = lender.ask(json={"customer": CUSTOMER, **SENT}).json()
    record = next(record for record in lender.records() if record["decision_id"] == answer["decision_id"])
    assert record["application"] == SAMPLE
    assert record["on_file"]["customer"] == CUSTOMER
    assert record["on_file"]["store"] == store_of(lender.folder)
    assert [*record["on_file"]["as_of"].values()] == [list(ON_FILE)]
    lender.ask(json={"customer": "nobody-of-the-test", **SENT})
    assert "of-the-test" not in lender.server.log.read_text()


def test_a_load_is_noticed_while_the_service_runs(lender: Lender) -> None:
    row = {"customer": CUSTOMER, **{name: SAMPLE[name] for name in ON_FILE}}
    try:
        load(lender.folder, row, row | {"customer": "new-of-the-test"})
        assert lender.ask(json={"customer": "new-of-the-test", **SENT}).status_code == 200
    finally:
        load(lender.folder, row)
    assert lender.ask(json={"customer": "new-of-the-test", **SENT}).status_code == 422


def test_sighup_changes_which_fields_are_on_file(lender: Lender) -> None:
    file = lender.folder / "features.yaml"
    before = file.read_text()
    try:
        file.write_text("fields: {income: {max_age: 90d, otherwise: refuse}}")
        hang_up(lender.server)
        answer = lender.ask(json={"customer": CUSTOMER, **SENT})
        assert answer.status_code == 400
        assert {detail["type"] for detail in answer.json()["detail"]} == {"missing"}
        without_income = {name: value for name, value in SAMPLE.items() if name != "income"}
        assert lender.ask(json={"customer": CUSTOMER, **without_income}).status_code == 200
        file.write_text("fields: {income: {max_age: 90, otherwise: refuse}}")
        hang_up(lender.server)
        assert lender.ask(json={"customer": CUSTOMER, **without_income}).status_code == 200
    finally:
        file.write_text(before)
        hang_up(lender.server)
    assert lender.ask(json={"customer": CUSTOMER, **SENT}).status_code == 200
    assert "the fields on file have changed" in lender.server.log.read_text()


def test_the_document_describes_a_customers_application(lender: Lender) -> None:
    document = httpx2.get(f"{lender.server.url}/openapi.json").json()
    described = document["components"]["schemas"]["CustomerApplication"]
    assert set(described["required"]) == {"customer", "time", "amount", "price"}
    [example] = described["examples"]
    assert lender.ask(json=example | {"customer": CUSTOMER, "debt": 3000.0}).status_code == 200
    assert "422" in document["paths"]["/classify"]["post"]["responses"]


def test_replay_needs_no_store(lender: Lender, tmp_path: Path) -> None:
    lender.ask(json={"customer": CUSTOMER, **SENT})
    lender.ask(json={"customer": CUSTOMER, **{k: v for k, v in SAMPLE.items() if k != "debt"}})
    log = tmp_path / "decisions"
    shutil.copytree(lender.folder / "decisions", log)
    assert run("replay", str(log)).endswith("decisions, all identical\n")


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("FEATURES", "sqlite:///absent.db", "CREDIT_RISK_FEATURES: absent.db can't be used: No such file or"),
        ("FEATURES", "sqlite:///README.md", "CREDIT_RISK_FEATURES: README.md can't be used: file is not a database"),
        ("FEATURES", "mysql://localhost", "invalid settings: CREDIT_RISK_FEATURES: "),
        ("FEATURES_FILE", "absent.yaml", "features absent.yaml can't be read: No such file or directory"),
        ("FEATURES_FILE", "policy.yaml", "features policy.yaml is not valid: fields: Field required"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    lender: Lender, setting: str, value: str, sentence: str
) -> None:
    settings = {"CREDIT_RISK_FEATURES": store_of(lender.folder), f"CREDIT_RISK_{setting}": value}
    assert_it_refuses_to_start(settings, sentence)
