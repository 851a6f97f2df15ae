"""Notices of adverse action: with the reasons of the time, from any template, and for what is adverse only."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from credit_risk.contract.record import DecisionRecord
from tests.commands.decisions import Log, refused, run
from tests.replay.logs import records_of, rewrite


def template(folder: Path, text: str, name: str = "letter.txt.j2") -> Path:
    file = folder / name
    file.write_text(text, errors="surrogateescape")
    return file


def test_a_notice_has_what_regulation_b_asks_for(log: Log) -> None:
    _, decided = log.first("DECLINED")
    bank, agency = "First Bank\n1 Main Street", "Bureau of Consumer Financial Protection\n1700 G Street NW"
    letter = run(decided.decision_id, log.folder, "--notice", "--creditor", bank, "--agency", agency).stdout
    assert letter.startswith(f"{bank}\n")
    assert letter.rstrip().endswith(agency)
    said = [line.removeprefix("  - ") for line in letter.splitlines() if line.startswith("  - ")]
    assert said == [f"Grund {code}" for code, _ in decided.reasons]
    assert 1 <= len(said) <= 4
    flat = " ".join(letter.split())
    assert "The federal Equal Credit Opportunity Act prohibits creditors from discriminating" in flat
    assert f"a loan of {decided.application.amount} over {decided.application.time} months" in flat
    assert decided.decision_id in flat
    assert str(date.today()) in flat  # noqa: DTZ011
    assert "[name and address of the applicant]" in flat
    assert max(map(len, letter.splitlines())) <= 100


def test_what_is_to_be_filled_in_is_marked(log: Log) -> None:
    letter = run(log.id_of("DECLINED"), log.folder, "--notice").stdout
    assert letter.startswith("[name and address of the creditor]\n")
    assert letter.rstrip().endswith("[name and address of the federal agency]")


def test_the_lender_s_own_id_names_the_application(log: Log) -> None:
    number, decided = log.first("DECLINED")
    records = records_of(log.file)
    records[number - 1]["reference"] = "A-7\n\x1b[2J{{ creditor }}"
    rewrite(log.file, records)
    letter = run(decided.decision_id, log.folder, "--notice").stdout
    assert "Application:       A-7\\n\\x1b[2J{{ creditor }}\n" in letter


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("APPROVED", "is APPROVED: no notice of adverse action is due"),
        ("MAYBE", "is MAYBE, which is not adverse yet (Regulation B, 12 CFR 1002.9): a person has to decide first"),
    ],
)
def test_what_is_not_adverse_gets_no_notice(log: Log, status: str, said: str) -> None:
    assert said in refused(log.id_of(status), log.folder, "--notice")


def test_a_notice_names_all_of_its_reasons(log: Log) -> None:
    number, decided = log.first("DECLINED")
    records = records_of(log.file)
    for reasons, said in (
        ([], "has no reasons on record"),
        ([{"code": "R99", "contribution": 1.0}], "no text for R99"),
    ):
        records[number - 1]["reasons"] = reasons
        rewrite(log.file, records)
        assert f"{said}, and a notice must name the principal reasons" in refused(
            decided.decision_id, log.folder, "--notice"
        )


def test_a_template_of_one_s_own(log: Log, tmp_path: Path) -> None:
    _, decided = log.first("DECLINED")
    text = "{{ decision.request_id }} {{ creditor }} {{ '%.2f' % decision.probability_of_default }}"
    for name, sent in (
        ("letter.txt", '<b>&[red]\\x1b[2J"'),
        ("letter.html.j2", "&lt;b&gt;&amp;[red]\\x1b[2J&#34;"),
        ("letter", "&lt;b&gt;&amp;[red]\\x1b[2J&#34;"),
    ):
        file = template(tmp_path, text, name)
        letter = run(decided.decision_id, log.folder, "--notice", "--creditor", "A bank", "--template", file).stdout
        assert letter == f"{sent} A bank {decided.probability:.2f}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n{{ creditors }}", "'creditors' is undefined"),
        ("{{ decision.secret }}", "has no attribute 'secret'"),
        ("\n{% if %}", "in line 2"),
        ("{{ ''.__class__.__mro__ }}", "is unsafe"),
        ("{{ reasons.append('x') }}", "is unsafe"),
        ("{{ decision.caller + 1 }}", "it raises a TypeError"),
        ("{% include '../letter.txt.j2' %}", "there is no template"),
        ("\udcff", "it raises a UnicodeDecodeError"),
    ],
)
def test_a_template_that_fails_is_named(log: Log, tmp_path: Path, text: str, said: str) -> None:
    file = template(tmp_path, text)
    assert said in refused(log.id_of("DECLINED"), log.folder, "--notice", "--template", file)


def test_a_template_that_is_not_there_is_named(log: Log, tmp_path: Path) -> None:
    absent = tmp_path / "absent.j2"
    assert f"there is no template {absent}" in refused(
        log.id_of("DECLINED"), log.folder, "--notice", "--template", absent
    )


def test_a_record_may_have_a_reference(log: Log) -> None:
    line = log.file.read_bytes().splitlines()[0]
    assert DecisionRecord.model_validate_json(line).reference is None
