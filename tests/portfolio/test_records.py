"""The decisions on a file leave a record where it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from credit_risk.commands.cli import cli
from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.record import DecisionRecord
from credit_risk.model.store import StoredModel
from credit_risk.record.erasing import key_files
from credit_risk.training.data import Dataset
from tests.corpus import SAMPLE
from tests.deciders import POLICY
from tests.portfolio.files import run, write
from tests.records import decision_lines

pytestmark = pytest.mark.usefixtures("trained")


def replayed(log: Path) -> str:
    return CliRunner().invoke(cli, ["replay", str(log)]).output


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_it_leaves_a_record_that_can_be_replayed_where_asked_for(
    model: StoredModel, synthetic: Dataset, tmp_path: Path, kind: str
) -> None:
    applications, log = [*synthetic.applications[:300], EXAMPLE], tmp_path / "log"
    rows = [application.model_dump() | {"decision_id": f"of another {kind}"} for application in applications]
    source = write(tmp_path / f"in.{kind}", rows)
    result = run(source, "-o", tmp_path / "out.ndjson", "--decision-log", log, "--rows-at-once", 100)
    assert result.exit_code == 0, result.output
    decisions = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert {decision["input_decision_id"] for decision in decisions} == {f"of another {kind}"}
    [file] = log.glob("decisions-*.ndjson")
    records = [DecisionRecord.model_validate_json(line) for line in decision_lines(log)]
    assert [record.decision_id for record in records] == [decision["decision_id"] for decision in decisions]
    assert [record.application.model_dump() for record in records] == [each.model_dump() for each in applications]
    assert [record.status for record in records] == [decision["Status"] for decision in decisions]
    assert [[reason.code for reason in r.reasons] for r in records] == [decision["reasons"] for decision in decisions]
    assert {(record.model, record.policy) for record in records} == {(model.tag, POLICY.sha256)}
    assert {(record.request_id, record.caller) for record in records} == {(f"score in.{kind}", None)}
    assert file.stat().st_mode & 0o077 == 0
    assert replayed(log) == "301 decisions, all identical\n"


def test_it_encrypts_what_is_personal_where_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_ENCRYPT", "true")
    log, out = tmp_path / "log", tmp_path / "out.csv"
    mixed = write(tmp_path / "mixed.csv", [SAMPLE, SAMPLE | {"income": "much"}])
    assert run(mixed, "-o", out, "--decision-log", log, "--strict").exit_code == 1
    assert key_files([log]) == []
    source = write(tmp_path / "in.csv", [SAMPLE | {"reference": name} for name in ("A", "B")])
    assert run(source, "-o", out, "--decision-log", log).exit_code == 0
    assert not any(b'"application"' in line for line in decision_lines(log))
    assert replayed(log) == "2 decisions, all identical\n"
    assert CliRunner().invoke(cli, ["erase", "B", str(log), "--yes"]).exit_code == 0
    assert replayed(log) == "1 decision was erased and left out\n1 decision, all identical\n"


def test_it_leaves_no_record_of_decisions_that_are_not_written(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [SAMPLE, SAMPLE | {"income": "much"}])
    log = tmp_path / "log"
    assert run(source, "-o", tmp_path / "out.csv", "--decision-log", log, "--strict").exit_code == 1
    assert sorted(path.name for path in log.iterdir()) == ["archive", "seal"]
    assert run(source, "-o", tmp_path / "out.csv", "--decision-log", log).exit_code == 0
    assert replayed(log) == "1 decision, all identical\n"
    (tmp_path / "file").write_text("")
    refused = run(source, "-o", tmp_path / "out.csv", "--decision-log", tmp_path / "file")
    assert refused.exit_code == 1
    assert "can't be written to" in refused.output
