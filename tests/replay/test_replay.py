"""Replay: what is on record is decided again, and what differs is named without a word on the applicant."""

from __future__ import annotations

import csv
import json
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_risk.commands import replay as module
from credit_risk.commands.cli import cli
from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.model.store import StoredModel
from credit_risk.record.reader import Entry
from credit_risk.replay.replayer import Again, Replayer
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.deciders import record_files, recording
from tests.models import another_booster, copy_with

N = 600
INCOME = 87654.25
PLANTED = CreditApplication.model_validate(EXAMPLE.model_dump() | {"income": INCOME, "assets": None, "debt": 30_000.0})
SECRETS = (str(INCOME), str(int(INCOME)), struct.pack("<f", INCOME).hex())
Record = dict[str, Any]


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(cli, ["replay", *(str(argument) for argument in arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not any(secret in result.output for secret in SECRETS)
    return result


def record(folder: Path, model: StoredModel, policy: Policy, applications: list[CreditApplication]) -> Path:
    """Record the decisions of a real decider, and give the only file of its log."""
    log = record_files(folder)
    for start in range(0, len(applications), 100):
        recording(model, applications[start : start + 100], log, policy=policy)
    [file] = folder.glob("decisions-*.ndjson")
    return file


def write_policy(path: Path, **changes: Any) -> Path:
    content = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    for section, values in changes.items():
        content[section] |= values
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def written(model: StoredModel, synthetic: Dataset, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("log")
    policy = load_policy(PROJECT / "policy.yaml")
    return record(folder, model, policy, [*synthetic.applications[: N - 1], PLANTED]).read_bytes()


@pytest.fixture
def log(written: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "decisions-1.ndjson"
    file.write_bytes(written)
    return file


@pytest.fixture(scope="module")
def other_model(model: StoredModel, synthetic: Dataset) -> StoredModel:
    return copy_with(another_booster(model, synthetic, seed=2), model, "replay_model")


def records_of(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def rewrite(file: Path, records: list[Record]) -> None:
    lines = [json.dumps(content, separators=(",", ":")) + "\n" for content in records]
    file.write_text("".join(lines))


def test_what_is_on_record_comes_out_again(log: Path) -> None:
    for named in (log, log.parent):
        result = run(named)
        assert (result.exit_code, result.output) == (0, f"{N} decisions, all identical\n")
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert run(log).output == "1 decision, all identical\n"


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


@settings(max_examples=25)
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


def test_another_policy_is_a_what_if(log: Path, tmp_path: Path) -> None:
    cutoffs = {"decline_above": 0.6, "review_above": 0.2}
    records = records_of(log)
    probabilities = [content["probability_of_default"] for content in records]
    statuses = ["DECLINED" if p > 0.6 else "MAYBE" if p > 0.2 else "APPROVED" for p in probabilities]
    swaps = Counter(zip((content["status"] for content in records), statuses, strict=True))
    assert swaps["APPROVED", "MAYBE"] > 0 < swaps["DECLINED", "MAYBE"]
    approved = [p for p, status in zip(probabilities, statuses, strict=True) if status == "APPROVED"]

    result = run(log, "--policy", write_policy(tmp_path / "other.yaml", cutoffs=cutoffs))
    assert result.exit_code == 0
    assert cells(result, "APPROVED") == [str(swaps["APPROVED", new]) for new in ("APPROVED", "MAYBE", "DECLINED")]
    assert cells(result, "DECLINED") == [str(swaps["DECLINED", new]) for new in ("APPROVED", "MAYBE", "DECLINED")]
    share, expected = f"{len(approved) / N:.2%}", f"{sum(approved) / len(approved):.2%}"
    assert cells(result, "approved anew") == [str(len(approved)), share, expected]
    assert cells(result, "newly approved") == ["0", "0.00%", "-"]
    assert "stability index of the score: 0.0000, no shift" in result.output


def cells(result: Result, heading: str) -> list[str]:
    """The cells of the first row of a table with this heading."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.output.splitlines()]
    return next(row[1:] for row in rows if row[0] == heading)


def test_a_rule_is_a_what_if_too(log: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((PROJECT / "policy.yaml").read_text())["rules"]["unverified_income"]
    policy = write_policy(tmp_path / "rule.yaml", rules={"unverified_income": content | {"enabled": True}})
    records = [content for content in records_of(log) if content["status"] == "APPROVED"]
    unverified = sum(not content["application"]["income"] for content in records)
    assert unverified > 0
    assert cells(run(log, "--policy", policy), "no longer approved")[0] == str(unverified)


def test_another_model_is_a_what_if(log: Path, other_model: StoredModel, tmp_path: Path) -> None:
    plot = tmp_path / "what-if.svg"
    result = run(log, "--model", other_model.tag, "--plot", plot)
    assert result.exit_code == 0
    assert "shift" in result.output
    assert "<svg" in plot.read_text()
    applications = [CreditApplication.model_validate(content["application"]) for content in records_of(log)]
    policy = load_policy(PROJECT / "policy.yaml")
    again = records_of(record(tmp_path / "again", other_model, policy, applications))
    probabilities = [content["probability_of_default"] for content in again]
    assert cells(result, "all anew")[2] == f"{sum(probabilities) / N:.2%}"
    before = [content["probability_of_default"] for content in records_of(log)]
    assert cells(result, "all on record")[2] == f"{sum(before) / N:.2%}"
    approved = sum(content["status"] == "APPROVED" for content in again)
    assert cells(result, "approved anew")[0] == str(approved)


def test_a_what_if_needs_no_model_of_the_record(log: Path, model: StoredModel) -> None:
    rewrite(log, [content | {"model": "credit_risk_model:nowhere"} for content in records_of(log)])
    assert cells(run(log, "--model", model.tag), "all anew")[0] == str(N)


def test_a_what_if_with_the_same_model_checks(log: Path, model: StoredModel) -> None:
    assert run(log, "--model", model.tag).output == f"{N} decisions, all identical\n"
    records = records_of(log)
    records[0]["score"] += 1
    rewrite(log, records)
    assert run(log, "--model", model.tag).exit_code == 1


def test_few_decisions_give_no_verdict(log: Path, other_model: StoredModel) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:100]))
    assert "too few decisions for a verdict (500)" in " ".join(run(log, "--model", other_model.tag).output.split())


def test_outcomes_give_the_observed_bad_rate(log: Path, tmp_path: Path) -> None:
    records = records_of(log)
    approved = [content["decision_id"] for content in records if content["status"] == "APPROVED"]
    outcomes = tmp_path / "outcomes.csv"
    with outcomes.open("w", newline="") as stream:
        csv.writer(stream).writerows([("decision_id", "default"), *((i, int(n < 5)) for n, i in enumerate(approved))])
    policy = write_policy(tmp_path / "other.yaml", cutoffs={"decline_above": 0.9, "review_above": 0.8})
    result = run(log, "--policy", policy, "--outcomes", outcomes)
    assert cells(result, "approved on record")[3] == f"{5 / len(approved):.2%} of {len(approved)}"
    assert cells(result, "newly approved")[3] == "- of 0"


@pytest.mark.parametrize(
    "content", ["", "decision_id\n1\n", "decision_id,default\n1,2\n", "decision_id,default\n1,0\n1,1\n"]
)
def test_outcomes_that_are_none_are_refused(log: Path, tmp_path: Path, content: str) -> None:
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text(content)
    result = run(log, "--policy", PROJECT / "policy.yaml", "--outcomes", outcomes)
    assert result.exit_code == 1
    assert f"outcomes {outcomes} must have the columns" in result.stderr


def test_options_that_make_no_sense_are_refused(log: Path, tmp_path: Path) -> None:
    assert "belong to a what-if" in run(log, "--plot", "plot.png").stderr
    policy = PROJECT / "policy.yaml"
    assert "must end in .png or .svg" in run(log, "--policy", policy, "--plot", "plot.pdf").stderr
    assert "can't be written" in run(log, "--policy", policy, "--plot", tmp_path / "absent" / "plot.png").stderr
    assert "can't be read" in run(log, "--policy", policy, "--outcomes", tmp_path / "absent.csv").stderr
    assert run(log, "--policy", tmp_path / "absent.yaml").exit_code == 1
    assert run(log, "--model", "credit_risk_model:nowhere").exit_code == 1
