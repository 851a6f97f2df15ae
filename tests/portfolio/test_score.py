from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_risk.commands.cli import cli
from credit_risk.contract.application import CATEGORIES, EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.contract.policy import Policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.model.store import StoredModel
from credit_risk.model.table import columns_of
from credit_risk.portfolio.checking import Chunk
from credit_risk.portfolio.scoring import score_chunk
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.corpus import BAD, GOOD, SAMPLE
from tests.deciders import CATALOGUE, POLICY, answers_of
from tests.model.test_features import APPLICATIONS
from tests.policies import ALL_RULES, POLICIES

pytestmark = pytest.mark.usefixtures("trained")
Row = dict[str, Any]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *(str(argument) for argument in arguments)])


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Rows as a file of the kind that its suffix says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def by_the_service(applications: Sequence[CreditApplication], model: StoredModel, policy: Policy) -> list[Row]:
    return [json.loads(answer) for answer in answers_of(model, applications, policy)]


def assert_as_the_service(found: list[Row], expected: list[Row]) -> None:
    assert len(found) == len(expected)
    for row, answer in zip(found, expected, strict=True):
        for name in ("Status", "probability_of_default", "score", "model", "policy"):
            assert row[name] == answer[name]
        assert row["reasons"] == [reason["code"] for reason in answer["reasons"]]
        assert row["reason_texts"] == [reason["text"] for reason in answer["reasons"]]
        assert row["warnings"] == [warning["code"] for warning in answer["warnings"]]


def chunk_of(applications: list[CreditApplication]) -> Chunk:
    return Chunk(columns_of(applications), np.arange(1, len(applications) + 1), {}, [])


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
@pytest.mark.parametrize("policy", [POLICY, ALL_RULES], ids=["no rules", "all rules"])
def test_decisions_of_the_bundled_data_are_the_services(
    suffix: str, policy: Policy, synthetic: Dataset, model: StoredModel, tmp_path: Path
) -> None:
    applications = [*synthetic.applications, EXAMPLE]
    rows = [{"id": f"{number:05}", **a.model_dump()} for number, a in enumerate(applications)]
    (tmp_path / "policy.yaml").write_text(policy.model_dump_json())
    source, output = write(tmp_path / f"in{suffix}", rows), tmp_path / "out.parquet"
    result = run(source, "-o", output, "--rows-at-once", 1000, "--policy", tmp_path / "policy.yaml")
    assert result.exit_code == 0, result.output
    found = pq.read_table(output).to_pylist()
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert [row["row"] for row in found] == list(range(1, len(rows) + 1))
    assert {row["catalogue"] for row in found} == {CATALOGUE.version}
    assert_as_the_service(found, by_the_service(applications, model, policy))
    assert not (tmp_path / "out.rejects.csv").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(applications=st.lists(APPLICATIONS, min_size=1, max_size=8), policy=POLICIES)
def test_decisions_of_odd_applications_are_the_services(
    applications: list[CreditApplication], policy: Policy, model: StoredModel
) -> None:
    found = pa.table(score_chunk(chunk_of(applications), model, policy, CATALOGUE)).to_pylist()
    assert_as_the_service(found, by_the_service(applications, model, policy))


def faults_of(body: bytes) -> list[tuple[str, str]]:
    try:
        parse_application(body)
    except InvalidRequestError as error:
        return [(str(detail["loc"][-1]) if detail["loc"] else "", detail["msg"]) for detail in error.detail]
    return []


@pytest.mark.parametrize("extra", [False, True], ids=["as it is", "with a further key"])
def test_ndjson_is_judged_as_the_service_judges_a_body(extra: bool, tmp_path: Path) -> None:
    """Of the bodies that are an object in JSON, on a line, of the contract's fields."""
    bodies = [(body, body) for body in GOOD.values()]
    bodies += [(bad.body, bad.body) for bad in BAD.values() if bad.field in FIELDS]
    lines = [(line, body) for line, body in bodies if b"\n" not in line and len(line) < 4000]
    if extra:
        lines = [(b'{"id": 7, ' + line[1:], body) for line, body in lines if line != b"{}"]
    source, output = tmp_path / "in.ndjson", tmp_path / "out.ndjson"
    source.write_bytes(b"".join(line + b"\n" for line, _ in lines))
    assert run(source, "-o", output).exit_code == 0
    refused = [(row["row"], row["field"], row["fix"]) for row in read_csv(tmp_path / "out.rejects.csv")]
    expected = [(str(n), *fault) for n, (_, body) in enumerate(lines, 1) for fault in faults_of(body)]
    if not extra:  # without one, what the contract does not know is passed through
        expected = [fault for fault in expected if "not a field" not in fault[2]]
    assert refused == expected
    decided = [json.loads(line)["row"] for line in output.read_text().splitlines()]
    assert decided == [n for n, (_, body) in enumerate(lines, 1) if not faults_of(body)]


CELLS = (
    st.sampled_from(["", "0", "-0", "3", "03", "+3", " 3", "3.0", "0.5", "1e2", "1e999", "NA", "nan", "inf", "true"])
    | st.sampled_from(["owner", "Owner", "single", "no", "fixed", 'x","income":5', "a:b", "99999999", "60001"])
    | st.integers(-10, 10**7).map(str)
    | st.floats(0, 10**6).map(repr)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(changes=st.lists(st.dictionaries(st.sampled_from(FIELDS), CELLS, max_size=3), min_size=1, max_size=10))
def test_cells_of_csv_are_judged_as_the_json_that_they_would_be(
    changes: list[dict[str, str]], tmp_path: Path, model: StoredModel
) -> None:
    def json_of(cell: str) -> str:
        number = cell[:1] in "-0123456789" and cell.isascii()
        try:
            return cell if cell and number and json.loads(cell) is not None else json.dumps(cell or None)
        except ValueError:
            return json.dumps(cell)

    def body_of(change: dict[str, str]) -> bytes:
        cells = {field: json.dumps(value) for field, value in SAMPLE.items()}
        cells |= {field: json_of(cell) for field, cell in change.items()}
        return ("{" + ",".join(f'"{field}":{cell}' for field, cell in cells.items()) + "}").encode()

    source = write(tmp_path / "in.csv", [SAMPLE | change for change in changes])
    output, rejects = tmp_path / "out.parquet", tmp_path / "out.rejects.csv"
    output.unlink(missing_ok=True)
    run(source, "-o", output)
    refused = [(row["row"], row["field"], row["fix"]) for row in read_csv(rejects)] if rejects.exists() else []
    bodies = [body_of(change) for change in changes]
    assert refused == [(str(n), *fault) for n, body in enumerate(bodies, 1) for fault in faults_of(body)]
    good = [parse_application(body) for body in bodies if not faults_of(body)]
    if good:
        assert_as_the_service(pq.read_table(output).to_pylist(), by_the_service(good, model, POLICY))
    assert output.exists() == bool(good)


def test_parquet_of_other_types_is_read(tmp_path: Path) -> None:
    """Nulls, float for whole numbers (as pandas makes of them), dictionaries; text for a number is refused."""
    rows = [SAMPLE, SAMPLE | {"age": None, "income": None}, SAMPLE | {"time": 7.5}, SAMPLE | {"income": float("nan")}]
    table = pa.table({field: [row[field] for row in rows] for field in FIELDS if field not in ("age", "time")})
    table = table.append_column("age", pa.array([26.0, None, 26.0, 26.0]))
    table = table.append_column("time", pa.array([36.0, 36.0, 7.5, 36.0]))
    table = table.set_column(table.column_names.index("home"), "home", table["home"].dictionary_encode())
    pq.write_table(table, tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", "-o", tmp_path / "out.ndjson").exit_code == 0
    refused = [(row["row"], row["field"]) for row in read_csv(tmp_path / "out.rejects.csv")]
    assert refused == [("2", "age"), ("3", "time"), ("4", "income")]
    pq.write_table(pa.table({field: [str(value)] for field, value in SAMPLE.items()}), tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", "-o", tmp_path / "none.csv").exit_code == 1
    assert len(read_csv(tmp_path / "none.rejects.csv")) == len(FIELDS) - len(CATEGORIES)


def test_a_row_of_too_few_cells_is_refused_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    lines = write(tmp_path / "in.csv", [{"note": n, **SAMPLE} for n in ("a", "two\nlines", "c", "d", "e")])
    text = lines.read_bytes().replace(b"c,3,", b"3,").replace(b"\nd,", b"\nd,,") + b"short\r\n"
    lines.write_bytes(text)
    result = run(lines, "-o", tmp_path / "out.csv", "--rows-at-once", 1)
    assert "3 rows refused" in result.output
    assert [(row["note"], row["row"]) for row in read_csv(tmp_path / "out.csv")] == [
        *(("a", "1"), ("two\nlines", "2"), ("e", "5"))
    ]
    rejects = read_csv(tmp_path / "out.rejects.csv")
    assert [row["row"] for row in rejects] == ["3", "4", "6"]
    assert rejects[0]["fix"].startswith("has 13 cells where the header names 14")


def test_further_columns_pass_through_and_none_is_lost_to_a_name(tmp_path: Path) -> None:
    rows = [SAMPLE | {"Status": "x", "input_Status": "y", "tags": [1, 2]}, SAMPLE]
    assert run(write(tmp_path / "in.ndjson", rows), "-o", tmp_path / "out.csv").exit_code == 0
    found = read_csv(tmp_path / "out.csv")
    assert (found[0]["input_Status"], found[0]["input_input_Status"], found[0]["tags"]) == ("x", "y", "[1, 2]")
    assert found[0]["Status"] in STATUSES
    assert found[1]["tags"] == ""


@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
def test_the_same_input_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [SAMPLE | {"amount": amount} for amount in range(100, 4000, 100)])
    outputs = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for output, rows in zip(outputs, (50_000, 7), strict=True):
        assert run(source, "-o", output, "--rows-at-once", rows).exit_code == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_without_reasons_all_else_is_the_same(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [SAMPLE | {"amount": amount} for amount in range(100, 4000, 100)])
    run(source, "-o", tmp_path / "with.parquet")
    run(source, "-o", tmp_path / "without.parquet", "--no-reasons")
    full = pq.read_table(tmp_path / "with.parquet")
    assert pq.read_table(tmp_path / "without.parquet") == full.drop_columns(["reasons", "reason_texts"])


def test_strict_fails_and_leaves_what_was_there(tmp_path: Path) -> None:
    source, output = write(tmp_path / "in.csv", [SAMPLE, SAMPLE | {"age": 31417}]), tmp_path / "out.csv"
    output.write_text("before")
    result = run(source, "-o", output, "--strict")
    assert result.exit_code == 1
    assert "out.rejects.csv" in result.output
    assert output.read_text() == "before"
    rejects = tmp_path / "out.rejects.csv"
    assert "31417" not in rejects.read_text()
    assert run(write(source, [SAMPLE]), "-o", output, "--strict").exit_code == 0
    assert not rejects.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


HEADER = ",".join(FIELDS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.csv", None, "can't be read: No such file"),
        ("in.parquet", None, "can't be read: No such file"),
        ("in.xlsx", b"", "name one that ends in .csv, .ndjson, .parquet"),
        ("in.csv", b"", "is empty"),
        ("in.csv", HEADER.encode() + b"\n", "it holds no application"),
        ("in.ndjson", b"\n", "it holds no application"),
        ("in.csv", b"home,time\nowner,36\n", "lacks the column seniority, age, marital"),
        ("in.csv", HEADER.encode() + b",x,x\n", "has the column x more than once"),
        ("in.csv", HEADER.encode() + b"\n3,\xff" + b",1" * 11 + b"\n", "not UTF-8"),
        ("in.parquet", b"PAR1 no such file", "is broken, or not parquet"),
        ("in.ndjson", json.dumps(SAMPLE).encode() + b"\n{secret\n", "line 2 of"),
    ],
)
def test_what_is_wrong_is_one_sentence(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    source, output = tmp_path / name, tmp_path / "out.parquet"
    output.write_text("before")
    if content is not None:
        source.write_bytes(content)
    result = run(source, "-o", output)
    assert result.exit_code == 1
    assert words in result.output
    assert len(result.output.splitlines()) == 1
    assert "secret" not in result.output
    assert output.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} <= {name, "out.parquet"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "nobody:1"], "there is no model nobody:1"),
        (["--policy", "nowhere.yaml"], "policy nowhere.yaml can't be read"),
        (["--reasons", "nowhere.yaml"], "catalogue of reasons nowhere.yaml can't be read"),
        (["-o", "/nowhere/out.csv"], "can't be written"),
        (["-o", "out.txt"], "name one that ends in"),
    ],
)
def test_what_it_is_to_be_decided_with_is_checked_first(options: list[str], words: str, tmp_path: Path) -> None:
    result = run(write(tmp_path / "in.csv", [SAMPLE]), "-o", tmp_path / "out.csv", *options)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert words in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_input_is_not_written_over(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [SAMPLE])
    assert "three different files" in run(source, "-o", source).output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal_it_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Its input is a pipe that stays open, so that it is in the middle of its work when the signal comes."""
    source, output = tmp_path / "in.ndjson", tmp_path / "out.csv"
    output.write_text("before")
    os.mkfifo(source)
    # A process that a script starts in the background ignores SIGINT, and so would those that it starts.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run_it = "from credit_risk.commands.cli import cli; cli()"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heed}; {run_it}", "score", str(source), "-o", str(output), "--rows-at-once", "1"],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with source.open("w") as pipe:
        pipe.write(json.dumps(SAMPLE) + "\n")
        pipe.flush()
        assert len(list(tmp_path.glob(".out*.part"))) == 2
        process.send_signal(number)
        assert process.wait(30) == (143 if number == signal.SIGTERM else 1)
    assert output.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.ndjson", "out.csv"]


def test_another_catalogue_words_the_reasons(model: StoredModel) -> None:
    other = Catalogue(language="xx", reasons={code: f"text of {code}" for code in CATALOGUE.reasons})
    application = EXAMPLE.model_copy(update={"records": "yes", "amount": 5000})
    found = score_chunk(chunk_of([application]), model, POLICY, other)
    codes = found["reasons"].to_pylist()[0]
    assert found["reason_texts"].to_pylist() == [[f"text of {code}" for code in codes]]
    assert codes
    assert found["catalogue"].to_pylist() == [other.version]


def test_it_decides_with_the_services_settings(
    model: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the environment: without one of them the defaults would decide otherwise."""
    (tmp_path / "policy.yaml").write_text(ALL_RULES.model_dump_json())
    texts = {code: f"text of {code}" for code in CATALOGUE.reasons}
    (tmp_path / "reasons.yaml").write_text(json.dumps({"language": "xx", "reasons": texts}))
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("CREDIT_RISK_REASONS", str(tmp_path / "reasons.yaml"))
    monkeypatch.setenv("CREDIT_RISK_MODEL", model.tag)
    run(write(tmp_path / "in.csv", [SAMPLE | {"amount": 5000}]), "-o", tmp_path / "out.ndjson")
    [row] = map(json.loads, (tmp_path / "out.ndjson").read_text().splitlines())
    assert (row["policy"], row["model"]) == (ALL_RULES.version, model.tag)
    assert row["reason_texts"][0] == "text of P02"
    monkeypatch.setenv("CREDIT_RISK_MODEL", "credit_risk_model:nowhere")
    assert "no model credit_risk_model:nowhere" in run(tmp_path / "in.csv", "-o", tmp_path / "out.ndjson").output
    assert run(tmp_path / "in.csv", "-o", tmp_path / "out.ndjson", "--model", model.tag).exit_code == 0


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
    records = [DecisionRecord.model_validate_json(line) for line in file.read_bytes().splitlines()]
    assert [record.decision_id for record in records] == [decision["decision_id"] for decision in decisions]
    assert [record.application for record in records] == applications
    assert [record.status for record in records] == [decision["Status"] for decision in decisions]
    assert [[reason.code for reason in r.reasons] for r in records] == [decision["reasons"] for decision in decisions]
    assert {(record.model, record.policy) for record in records} == {(model.tag, POLICY.sha256)}
    assert {(record.request_id, record.caller) for record in records} == {(f"score in.{kind}", None)}
    assert file.stat().st_mode & 0o077 == 0
    assert replayed(log) == "301 decisions, all identical\n"


def test_it_leaves_no_record_of_decisions_that_are_not_written(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [SAMPLE, SAMPLE | {"income": "much"}])
    log = tmp_path / "log"
    assert run(source, "-o", tmp_path / "out.csv", "--decision-log", log, "--strict").exit_code == 1
    assert [path.name for path in log.iterdir()] == ["archive"]
    assert run(source, "-o", tmp_path / "out.csv", "--decision-log", log).exit_code == 0
    assert replayed(log) == "1 decision, all identical\n"
    (tmp_path / "file").write_text("")
    refused = run(source, "-o", tmp_path / "out.csv", "--decision-log", tmp_path / "file")
    assert refused.exit_code == 1
    assert "can't be written to" in refused.output
