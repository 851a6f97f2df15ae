"""`python -m credit_risk decision`: found, told with the texts of its time, and what can't be told is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.policy import load_policy
from credit_risk.deciding.log import DecisionLog
from credit_risk.model.store import StoredModel
from credit_risk.record.stream import RecordStream
from credit_risk.replay.replayer import ScoresAlone
from credit_risk.training.data import Dataset
from tests.commands.decisions import GERMAN, Log, refused, run, told
from tests.conftest import PROJECT
from tests.deciders import decide, decider_of, record_files, recording
from tests.policies import ALL_RULES, write_policy
from tests.record.sealed_logs import seal_of
from tests.replay.logs import records_of, rewrite

ABSENT = "01a1f846-be8a-76fb-b12b-52a70f17da92"


def test_a_decision_is_told_with_everything_on_record(log: Log) -> None:
    number, decided = log.first("DECLINED")
    for named in (log.folder, log.file):
        shown = run(decided.decision_id, named).stdout
        rows = [" ".join(line.split()) for line in shown.splitlines()]
        assert rows[0] == f"Decision {decided.decision_id}: DECLINED"
        assert rows[-2:] == [f"place {log.file}:{number}", "seal none: the log is not sealed"]
        for code, contribution in decided.reasons:
            added = "" if contribution is None else f"{contribution:+.4f} "
            assert f"{code} {added}Grund {code}" in rows
        for name, value in decided.application.model_dump().items():
            assert f"{name} {'unknown' if value is None else value}" in rows
        record = records_of(log.file)[number - 1]
        for name in ("probability_of_default", "score", "policy", "catalogue", "model", "service", "caller"):
            assert f"{name.replace('_', ' ')} {record[name]}" in rows
        assert f"digest {record['model_digest']}" in rows
        assert {"review above 0.3", "decline above 0.5", "amount_above_limit outcome DECLINED, limit 2000.0"} < set(
            rows
        )
        assert 'request id <b>&[red]\\x1b[2J"' in rows
        assert "\x1b[2J" not in shown


def test_programs_get_the_same_as_json(log: Log) -> None:
    number, decided = log.first("MAYBE")
    content = told(decided.decision_id, log.folder)
    assert content["record"] == records_of(log.file)[number - 1]
    assert content["place"] == f"{log.file}:{number}"
    assert [(reason["code"], reason["text"], reason["contribution"]) for reason in content["reasons"]] == [
        (code, f"Grund {code}", contribution) for code, contribution in decided.reasons
    ]
    assert content["policy"]["cutoffs"] == {"decline_above": 0.5, "review_above": 0.3}
    assert content["missing"] == []


def test_warnings_and_what_came_from_a_file_are_told(log: Log) -> None:
    records = records_of(log.file)
    as_of = {"2026-11-20T08:00:00+00:00": ["income", "debt"]}
    file = {"customer": "c-1", "store": "sqlite", "as_of": as_of, "stale": ["debt"], "missing": ["assets"]}
    more = {
        "on_file": file,
        "scored_by": "local",
        "reference": "A-7",
        "warnings": ["time_off_grid", "of_a_later_version"],
    }
    records[0] |= more
    rewrite(log.file, records)
    decided = log.decided[0]
    rows = [" ".join(line.split()) for line in run(decided.decision_id, log.folder).stdout.splitlines()]
    assert {
        "customer c-1",
        "store sqlite",
        "as of 2026-11-20 08:00 income, debt",
        "stale debt",
        "missing assets",
    } < set(rows)
    assert {"scored by local", "reference A-7"} < set(rows)
    assert "time_off_grid time is not a multiple of 6 months, as all of the training data is" in rows
    assert "of_a_later_version (no text of it is to be found)" in rows


def test_the_log_is_the_service_s_own_unless_one_is_named(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", str(log.folder))
    assert told(log.decided[0].decision_id)["place"] == f"{log.file}:1"
    for place, why in (("stdout", "the log went to standard output"), ("off", "no decision is on record")):
        monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", place)
        said = refused(log.decided[0].decision_id)
        assert f"{why}, as CREDIT_RISK_DECISION_LOG is {place}: name the file or folder where a log is" in said


def test_a_decision_that_is_not_on_record(log: Log, tmp_path: Path) -> None:
    assert refused(ABSENT, log.folder) == (
        "It is not where its time says: looking into all other files, 1 in number "
        f"Error: there is no decision {ABSENT} on record in {log.folder}"
    )
    assert f"there is no decision log {tmp_path / 'absent'}" in refused(ABSENT, tmp_path / "absent")


def test_a_decision_in_a_file_whose_name_tells_another_time_is_found_all_the_same(log: Log) -> None:
    other = log.file.rename(log.folder / "decisions-20200101T000000.000000Z-w1.ndjson")
    (log.folder / "decisions-20200102T000000.000000Z-w1.ndjson").touch()
    result = run(log.id_of("MAYBE"), log.folder)
    assert f"place {other}" in " ".join(result.stdout.split())
    assert "looking into all other files, 1 in number" in result.stderr


@pytest.mark.parametrize("text", ["", "1234", ABSENT[:-1], f"{ABSENT}0", "0b9e4a0c-3d5c-4f0e-9d4e-0a3c1c8f7b11"])
def test_what_is_no_id_is_refused(text: str, log: Log) -> None:
    said = " ".join(run(text, log.folder, code=2).stderr.split())
    assert "it is a UUID of version 7 such as 019a9f3c-6c1e-7bd3-8f5a-3f1f7a0c9a41, decision_id of the answer" in said
    run(log.id_of("MAYBE").upper(), log.folder)


def test_lines_that_are_garbled_hinder_no_other(log: Log) -> None:
    lines = log.file.read_bytes().splitlines(keepends=True)
    log.file.write_bytes(b"\xff\x00 {garbled\n" + lines[0][:200] + b"\n" + lines[1] + lines[2][:300])
    assert told(log.decided[1].decision_id, log.folder)["place"] == f"{log.file}:3"
    assert f"{log.file}:2 is not a decision record: the line: Invalid JSON" in refused(
        log.decided[0].decision_id, log.folder
    )
    assert f"{log.file}:4 has this decision, but the line is torn" in refused(log.decided[2].decision_id, log.folder)


def test_without_an_archive_it_is_said_what_is_missing(log: Log, tmp_path: Path) -> None:
    elsewhere = (log.folder / "archive").rename(tmp_path / "elsewhere")
    decided = log.first("DECLINED")[1]
    content = told(decided.decision_id, log.folder)
    assert content["policy"] is None
    assert {reason["text"] for reason in content["reasons"]} == {None}
    shown = run(decided.decision_id, log.folder).stdout
    for kind, sha256 in (("policy", ALL_RULES.sha256), ("catalogue", GERMAN.sha256)):
        said = f"was decided by {kind} {sha256}, which is not in {log.folder}/archive or {PROJECT}/"
        assert any(said in sentence for sentence in content["missing"])
        assert said in shown
    assert "name the archive that was beside the log with --archive" in shown
    assert "no text of it is to be found" in shown
    assert "has no text for" in refused(decided.decision_id, log.folder, "--notice")
    assert "policy" in refused(decided.decision_id, log.folder, "--counteroffer")
    named = told(decided.decision_id, log.folder, "--archive", elsewhere)
    assert named["missing"] == []


def test_a_stream_has_its_policy_and_catalogue_among_its_lines(model: StoredModel, tmp_path: Path) -> None:
    captured = tmp_path / "captured.txt"
    (tmp_path / "archive").mkdir()  # of another log
    with captured.open("wb") as stream:
        stream.write(b"[INFO] starting\n")
        log = DecisionLog(RecordStream(stream.fileno()))
        stream.flush()
        [decided] = decide(decider_of(model, policy=ALL_RULES, catalogue=GERMAN, log=log), [EXAMPLE])
    content = told(decided.decision_id, captured)
    assert content["place"] == f"{captured}:5"
    assert content["reasons"][0]["text"] == f"Grund {decided.reasons[0][0]}"
    assert content["policy"] == ALL_RULES.model_dump()
    captured.write_bytes(captured.read_bytes().replace(b"Grund R01", b"Grund R00"))
    assert f"{captured}:3 was changed: the catalogue is not the one" in refused(decided.decision_id, captured)


def test_a_decision_of_schema_1_is_told() -> None:
    folder = PROJECT / "tests" / "replay" / "schema1"
    record = records_of(folder / "decisions-1.ndjson")[0]
    content = told(record["decision_id"], folder)
    assert content["record"] == record
    assert content["policy"]["cutoffs"] == {"decline_above": 0.5, "review_above": 0.3}  # that of today is the same


@pytest.mark.parametrize("option", ["--json", "--counteroffer"])
def test_a_notice_goes_alone(option: str) -> None:
    said = " ".join(run(ABSENT, "--notice", option, code=2).stderr.split())
    assert "prints a letter and nothing else: leave out --json and --counteroffer" in said
    said = " ".join(run(ABSENT, "--creditor", "A bank", code=2).stderr.split())
    assert "--template, --creditor and --agency belong to --notice" in said


def amounts_approved(application: CreditApplication, model: StoredModel, policy: Any) -> list[int]:
    """All amounts below the one asked for that the service would approve, each decided by itself."""
    smaller = [application.model_copy(update={"amount": n}) for n in range(1, application.amount)]
    decider = decider_of(model, policy=policy, scoring=ScoresAlone(model))
    return [decided.application.amount for decided in decide(decider, smaller) if decided.status == "APPROVED"]


def test_the_counteroffer_is_the_largest_amount_that_is_approved(log: Log, model: StoredModel) -> None:
    found = 0
    adverse = [decided for decided in log.decided if decided.status != "APPROVED"]
    for decided in adverse[:8]:
        approved = amounts_approved(decided.application, model, ALL_RULES)
        said = " ".join(run(decided.decision_id, log.folder, "--counteroffer").stdout.split())
        if not approved:
            assert f"By our model and the policy of the time no amount below the {decided.application.amount}" in said
        else:
            assert f"By our model and the policy of the time {approved[-1]} is the largest amount below the" in said
            assert approved == list(range(1, approved[-1] + 1))  # a larger amount never scores better
            found += 1
    assert 2 < found < 8


def test_an_amount_at_the_limit_of_a_rule_is_offered(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    rules = {"amount_above_limit": {"enabled": True, "outcome": "DECLINED", "limit": 250.0}}
    policy = load_policy(write_policy(tmp_path / "policy.yaml", rules=rules))
    log = record_files(tmp_path / "decisions")
    decided = recording(model, synthetic.applications[:30], log, policy=policy)
    safe = next(d for d in decided if d.probability < 0.1 and d.status == "DECLINED")
    offer = told(safe.decision_id, tmp_path / "decisions", "--counteroffer")["counteroffer"]
    assert offer["amount"] == 250
    price = safe.application.price
    assert ("price_far_above_amount" in offer["warnings"]) == (
        price > 6 * 250 and "price_far_above_amount" not in safe.warnings
    )


def test_fields_that_were_not_on_file_count_for_the_counteroffer_too(log: Log) -> None:
    number, decided = next(
        (n, d)
        for n, d in enumerate(log.decided)
        if d.status == "MAYBE" and d.probability <= 0.5 and d.application.income
    )
    records = records_of(log.file)
    file = {"customer": "c-1", "store": "sqlite", "as_of": {}, "stale": [], "missing": ["income"]}
    records[number]["on_file"] = file
    rewrite(log.file, records)
    assert told(decided.decision_id, log.folder, "--counteroffer")["counteroffer"] is None


def test_what_was_approved_needs_no_counteroffer(log: Log) -> None:
    said = refused(log.id_of("APPROVED"), log.folder, "--counteroffer")
    assert "is APPROVED with the amount that was asked for" in said


def test_no_counteroffer_is_made_of_what_does_not_come_out_again(log: Log) -> None:
    number, decided = log.first("DECLINED")
    records = records_of(log.file)
    records[number - 1]["probability_of_default"] += 1e-5
    rewrite(log.file, records)
    said = refused(decided.decision_id, log.folder, "--counteroffer")
    assert "comes out in another way than it is on record, so what else would have been decided is not known" in said


def test_a_model_that_is_nowhere_is_named(log: Log) -> None:
    shutil.rmtree(log.folder / "archive" / "models")
    records = records_of(log.file)
    rewrite(log.file, [record | {"model": "credit_risk_model:nowhere"} for record in records])
    decision = log.id_of("DECLINED")
    run(decision, log.folder)
    assert "there is no model credit_risk_model:nowhere in" in refused(decision, log.folder, "--counteroffer")


def test_whether_the_seal_holds_is_said(model: StoredModel, tmp_path: Path) -> None:
    folder = tmp_path / "sealed"
    writer = record_files(folder, seal=seal_of(folder))
    first, second = recording(model, [EXAMPLE, EXAMPLE.model_copy(update={"amount": 700})], writer)
    assert told(second.decision_id, folder)["seal"] == "holds, but no head in its file signs it yet"
    writer.close()
    for decided in (first, second):
        assert told(decided.decision_id, folder)["seal"].startswith("holds: signed at ")
    [file] = folder.glob("decisions-*.ndjson")
    file.write_bytes(file.read_bytes().replace(b'"amount":800', b'"amount":900'))
    assert told(first.decision_id, folder)["seal"] == "broken: line 2: edited: the line after it follows what it was"


def test_without_a_public_key_nothing_is_said_of_the_seal(model: StoredModel, tmp_path: Path) -> None:
    writer = record_files(tmp_path / "sealed", seal=seal_of(tmp_path / "sealed"))
    [decided] = recording(model, [EXAMPLE], writer)
    writer.close()
    [file] = (tmp_path / "sealed").glob("decisions-*.ndjson")
    alone = shutil.copy(file, tmp_path)
    assert told(decided.decision_id, alone)["seal"].startswith("unknown: there is no public key beside the log")
