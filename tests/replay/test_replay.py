"""Replay: what is on record is decided again, and what differs is named without a word on the applicant."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_risk.commands import replay as module
from credit_risk.contract.application import ScoredApplication
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import StoredModel
from credit_risk.record.reader import Entry
from credit_risk.replay.replayer import Again, Replayer
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.policies import write_policy
from tests.replay.logs import INCOME, N, Record, record, records_of, rewrite, run


def test_what_is_on_record_comes_out_again(log: Path) -> None:
    for named in (log, log.parent):
        result = run(named)
        assert (result.exit_code, result.output) == (0, f"{N} decisions, all identical\n")
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert run(log).output == "1 decision, all identical\n"


def test_what_came_as_rows_without_age_and_marital_status_comes_out_again(
    model: StoredModel, synthetic: Dataset, tmp_path: Path
) -> None:
    dumped = [application.model_dump() for application in synthetic.applications[:N]]
    applications = [ScoredApplication(**fields | {"age": None, "marital": None}) for fields in dumped]
    log = record(tmp_path, model, load_policy(PROJECT / "policy.yaml"), [*applications])
    assert b'"age":null,"marital":null' in log.read_bytes().splitlines()[0]
    assert run(log).output == f"{N} decisions, all identical\n"


def test_many_are_replayed_a_chunk_at_a_time(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Counting(Replayer):
        async def replay(self, entries: Sequence[Entry]) -> list[Again]:
            sizes.append(len(entries))
            return await super().replay(entries)

    monkeypatch.setattr(module, "CHUNK", 250)
    monkeypatch.setattr(module, "Replayer", Counting)
    assert run(log).output == f"{N} decisions, all identical\n"
    assert sizes == [250, 250, 100]


def test_a_log_of_several_models(log: Path, other_model: StoredModel, synthetic: Dataset) -> None:
    policy = load_policy(PROJECT / "policy.yaml")
    other = record(log.parent / "other", other_model, policy, synthetic.applications[:N])
    pairs = zip(log.read_bytes().splitlines(), other.read_bytes().splitlines(), strict=True)
    log.write_bytes(b"".join(line + b"\n" for pair in pairs for line in pair))
    assert run(log).output == f"{2 * N:,} decisions, all identical\n"


def adverse(content: Record) -> bool:
    return bool(content["status"] == "DECLINED" and len(content["reasons"]) == 4)


def change(field: str, how: Callable[[Any], Any]) -> Callable[[Record], None]:
    def apply(content: Record) -> None:
        content[field] = how(content[field])

    return apply


def change_contribution(content: Record) -> None:
    content["reasons"][3]["contribution"] += 1e-4


TAMPERING: dict[str, Callable[[Record], None]] = {
    "application_sha256": change("application_sha256", lambda old: old[::-1]),
    "features": change("features", lambda old: old[:-1] + ("1" if old[-1] == "0" else "0")),
    "margin": change("margin", lambda old: old + 2e-6),
    "probability_of_default": change("probability_of_default", lambda old: old - 2e-6),
    "score": change("score", lambda old: old + 1),
    "status": change("status", lambda _: "APPROVED"),
    "warnings": change("warnings", lambda old: [*old, "time_off_grid"]),
    "model_sha256": change("model_sha256", lambda _: "0" * 64),
    "reasons": change_contribution,
}


@pytest.mark.parametrize("field", TAMPERING)
def test_each_field_that_differs_is_named(log: Path, field: str) -> None:
    records = records_of(log)
    number = next(number for number, content in enumerate(records) if adverse(content))
    TAMPERING[field](records[number])
    rewrite(log, records)
    result = run(log)
    assert result.exit_code == 1
    named, summary = result.output.splitlines()
    assert named.startswith(f"{log}:{number + 1}: decision {records[number]['decision_id']}: {field}")
    assert summary == f"{N} decisions, 1 difference"
    if field not in ("application_sha256", "features", "reasons"):
        assert f"{records[number][field]} on record, " in named or field == "warnings"


@pytest.mark.parametrize(
    ("field", "value"),
    [("margin", float("nan")), ("probability_of_default", float("nan")), ("reasons", []), ("reasons", "a code")],
)
def test_neither_nan_nor_an_absent_reason_is_the_same(log: Path, field: str, value: Any) -> None:
    records = records_of(log)
    content = next(content for content in records if adverse(content))
    if value == "a code":
        content["reasons"][0]["code"] = "P01"
    else:
        content[field] = value
    rewrite(log, records)
    result = run(log)
    assert result.exit_code == 1
    assert f"decision {content['decision_id']}: {field}: " in result.output


def test_less_than_the_tolerance_is_no_difference(log: Path) -> None:
    records = records_of(log)
    for content in records:
        content["margin"] += 1e-7
        content["probability_of_default"] -= 1e-7
        for reason in content["reasons"]:
            reason["contribution"] += 1e-6
    rewrite(log, records)
    assert run(log).output == f"{N} decisions, all identical\n"


def test_an_application_that_was_changed_is_not_shown(log: Path) -> None:
    records = records_of(log)
    records[-1]["application"]["income"] += 1
    rewrite(log, records)
    result = run(log)
    assert result.exit_code == 1
    assert "application_sha256 is not that of the application" in result.output
    assert "features are not those of the application" in result.output
    assert str(INCOME + 1) not in result.output


def test_twenty_differences_are_shown_and_all_are_counted(log: Path) -> None:
    records = records_of(log)
    for content in records[:30]:
        content["score"] += 1
    rewrite(log, records)
    lines = run(log).output.splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{N} decisions, 30 differences, 20 of them shown"


def test_an_id_that_comes_twice_is_named(log: Path) -> None:
    first = log.read_bytes().splitlines(keepends=True)[0]
    log.with_name("decisions-2.ndjson").write_bytes(first)
    result = run(log.parent)
    assert result.exit_code == 1
    assert f"decisions-2.ndjson:1: decision {json.loads(first)['decision_id']}: decision_id is on" in result.output


@settings(max_examples=8)  # each is a replay, of half a second
@given(cut=st.integers(1, 400))
def test_a_torn_last_line_is_left_out(written: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("torn")
    lines = written.splitlines(keepends=True)[:3]
    (folder / "decisions-1.ndjson").write_bytes(b"".join(lines)[: -1 - cut])
    (folder / "decisions-2.ndjson").write_bytes(lines[2][:-1])  # only the end of the line is missing
    result = run(folder)
    assert result.exit_code == 0
    assert f"{folder}/decisions-1.ndjson:3 was left out: it is torn" in result.stderr
    assert result.stdout == "3 decisions, all identical\n"


def test_a_torn_line_before_the_last_is_an_error(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + lines[1][:-20] + lines[2])
    for options in ((), ("--lenient",)):
        result = run(log, *options)
        assert result.exit_code == 1
        assert f"{log}:2 is not a decision record: the line: Invalid JSON" in result.stderr
    log.write_bytes(lines[0] + lines[1][:-20] + b"\n")  # a crash leaves no end of a line
    assert run(log).exit_code == 1


def test_what_is_not_right_in_a_record_is_named_but_not_quoted(log: Path) -> None:
    records = records_of(log)
    records[-1]["application"]["income"] = str(INCOME)
    rewrite(log, records)
    result = run(log)
    assert result.exit_code == 1
    assert f"{log}:{N} is not a decision record: application.income: Input should be a valid number" in result.stderr


def test_lines_of_others_are_left_out_where_that_may_be(written: bytes, tmp_path: Path) -> None:
    captured = b"[INFO] starting\n" + written + b'{"level": "info"}\n'
    result = run("-", stdin=captured)
    assert result.stdout == f"{N} decisions, all identical\n"
    assert result.stderr == "2 lines left out: no records of decisions\n"
    file = tmp_path / "captured.txt"
    file.write_bytes(captured)
    assert run(file, "--lenient").stdout == f"{N} decisions, all identical\n"
    assert f"{file}:1 is not a decision record" in run(file).stderr


def test_where_there_is_nothing_to_replay(tmp_path: Path) -> None:
    assert f"no decision log {tmp_path / 'absent'}:" in run(tmp_path / "absent").stderr
    assert f"no decision log {tmp_path}:" in run(tmp_path).stderr
    with socket.socket(socket.AF_UNIX) as no_file:
        no_file.bind(str(tmp_path / "socket"))
        assert f"{tmp_path / 'socket'} can't be read:" in run(tmp_path / "socket").stderr
    (tmp_path / "decisions-1.ndjson").touch()
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "there is no decision on record" in result.stderr


def test_a_model_that_is_not_there_is_named_with_the_fix(log: Path) -> None:
    records = records_of(log)
    records[1]["model"] = "credit_risk_model:nowhere"
    rewrite(log, records)
    result = run(log)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: there is no model credit_risk_model:nowhere in {log.parent}/archive or the BentoML model store; "
        f"it decided {log}:2: name the archive that was beside the log with --archive, or import it with "
        "`make import FROM=FILE`\n"
    )


def test_a_tag_that_moves_is_not_what_was_on_record(log: Path) -> None:
    records = records_of(log)
    records[0]["model"] = "credit_risk_model:latest"
    rewrite(log, records)
    assert "model: credit_risk_model:latest on record, " in run(log).output


def test_a_policy_that_is_nowhere_must_be_named(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = load_policy(PROJECT / "policy.yaml").sha256
    other = write_policy(tmp_path / "other.yaml", cutoffs={"decline_above": 0.6})
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(other))
    result = run(log)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {log}:1 was decided by policy {recorded}, which is not in {log.parent}/archive or {other}: name the "
        "archive that was beside the log with --archive, or make it a what-if with --policy\n"
    )
    assert run(log, "--policy", PROJECT / "policy.yaml").output == f"{N} decisions, all identical\n"
