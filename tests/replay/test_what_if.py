"""Replay as a what-if: another policy or another model decides what is on record."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.event import Asking, Outcome
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import StoredModel
from credit_risk.record.events import EventLog
from tests.conftest import PROJECT
from tests.policies import write_policy
from tests.replay.logs import N, cells, record, records_of, rewrite, run


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


def test_outcomes_on_record_give_it_too_and_the_last_counts(log: Path, tmp_path: Path) -> None:
    approved = [content["decision_id"] for content in records_of(log) if content["status"] == "APPROVED"][:4]
    events, asking = EventLog(tmp_path, None, 2**20, encrypts=False), Asking(request_id="r", caller=None, service="s")
    today = datetime.now(UTC).date()
    for number, decision_id in enumerate(approved):
        paid = Outcome(outcome="repaid", date=today)
        first = events.outcome(decision_id, paid, asking).line
        if number == 0:
            changed = {"outcome": "defaulted", "supersedes": first.model_dump()["outcome_id"]}
            events.outcome(decision_id, paid.model_copy(update=changed), asking)
    policy = write_policy(tmp_path / "other.yaml", cutoffs={"decline_above": 0.9, "review_above": 0.8})
    result = run(log, "--policy", policy)
    assert cells(result, "approved on record")[3] == "25.00% of 4"
    assert run(log).output == f"{N} decisions, all identical\n"


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
