"""`python -m credit_risk erase`: a person's decisions are unreadable, and every command says so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.contract.application import EXAMPLE
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.log import DecisionLog
from credit_risk.deciding.on_record import OnRecord
from credit_risk.model.store import StoredModel
from credit_risk.record.erasing import key_files
from tests.deciders import decide, decider_of, record_files, terms_of
from tests.record.sealed_logs import seal_of

LOW = EXAMPLE.model_copy(update={"income": 20.0, "assets": 0.0})


def run(*arguments: object, code: int = 0, answer: str = "") -> str:
    result: Result = CliRunner().invoke(cli, [*map(str, arguments)], input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def decisions(model: StoredModel, tmp_path: Path) -> list[Decided]:
    """Four decisions in an encrypted log, two of which are of A-1, and one of nobody in particular."""
    decided = decide(decider_of(model), [EXAMPLE, LOW, EXAMPLE, EXAMPLE])
    references = ["A-1", "A-2", None, "A-1"]
    decided = [
        each._replace(origin=Origin("r", "branch", reference))
        for each, reference in zip(decided, references, strict=True)
    ]

    async def append() -> None:
        log = DecisionLog(record_files(tmp_path, seal=seal_of(tmp_path)), encrypts=True)
        await log.append(decided)
        log.close()

    asyncio.run(append())
    return decided


@pytest.mark.usefixtures("decisions")
def test_a_reference_is_erased_once_it_is_confirmed(tmp_path: Path) -> None:
    assert run("replay", tmp_path) == "4 decisions, all identical"
    asked = run("erase", "A-1", tmp_path, answer="n\n", code=1)
    assert f"Make what is personal in 2 decisions in {tmp_path} unreadable for ever?" in asked
    assert run("replay", tmp_path) == "4 decisions, all identical"
    assert run("erase", "A-1", tmp_path, "--yes").startswith("Erased what is personal in 2 decisions.")
    assert run("replay", tmp_path) == "2 decisions were erased and left out 2 decisions, all identical"
    assert run("verify", tmp_path).split("The seal holds")[0] == "6 lines in 1 file of 1 chain are sealed "
    said = run("erase", "A-1", tmp_path, "--yes", code=1)
    assert said.startswith(f"Error: no decision of this reference can be erased in {tmp_path}: there is none")


def test_what_is_left_of_a_decision_is_shown(decisions: list[Decided], tmp_path: Path) -> None:
    gone, stays = decisions[2].decision_id, decisions[1].decision_id
    assert "income 20.0" in run("decision", stays, tmp_path)
    assert json.loads(run("decision", stays, tmp_path, "--json"))["record"]["reference"] == "A-2"
    run("erase", "--decision", gone, tmp_path, "--yes")
    shown = run("decision", gone, tmp_path)
    assert shown.startswith(f"Decision {gone}: {decisions[2].status}")
    assert "Missing the application, its features, the customer and the reference were erased" in shown
    assert "Application" not in shown
    assert "Asked by" in shown
    content = json.loads(run("decision", gone, tmp_path, "--json"))
    assert "application" not in content["record"]
    assert "were erased" in content["missing"][0]
    for option in ("--counteroffer", "--notice"):
        assert "is no longer whole" in run("decision", gone, tmp_path, option, code=1)


def test_lost_keys_are_told(decisions: list[Decided], tmp_path: Path) -> None:
    [keys] = key_files([tmp_path])
    kept = keys.rename(tmp_path / "kept")
    assert "4 decisions of" in run("replay", tmp_path, code=1)
    shown = run("decision", decisions[0].decision_id, tmp_path)
    assert "can't be read, as the key is not in" in shown
    kept.rename(keys)
    keys.chmod(0o644)
    for command in (("replay",), ("decision", decisions[0].decision_id), ("erase", "A-1")):
        assert f"make them yours alone with chmod 600 {keys}" in run(*command, tmp_path, code=1)


def test_what_can_not_be_erased_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "name the REFERENCE" in run("erase", code=2)
    assert "there is no decision log" in run("erase", "A", tmp_path / "nowhere", code=1)
    assert "of this id can be erased" in run("erase", "--decision", "x", tmp_path, code=1)
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", "stdout")
    assert "name the file or folder where a log is" in run("erase", "A", code=1)
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_ENCRYPT", "true")
    said = run("erase", "A", code=1)
    assert "CREDIT_RISK_DECISION_LOG_ENCRYPT: must be false while CREDIT_RISK_DECISION_LOG is stdout" in said


def test_an_answer_is_found_again_without_the_reference_that_was_erased(
    model: StoredModel, decisions: list[Decided], tmp_path: Path
) -> None:
    on_record = OnRecord(str(tmp_path), terms_of(model))
    ids = [decided.decision_id for decided in decisions]
    answers = {decided.decision_id: decided.renderer.answer(decided) for decided in decisions}
    record_files(tmp_path)._archive.keep(decisions[0].renderer.basis)
    assert on_record.answers(ids) == answers
    run("erase", "A-2", tmp_path, "--yes")
    found = on_record.answers(ids)
    assert json.loads(found[ids[1]]) == {
        name: value for name, value in json.loads(answers[ids[1]]).items() if name != "reference"
    }
    assert found[ids[0]] == answers[ids[0]]
