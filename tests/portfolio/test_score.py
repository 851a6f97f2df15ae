from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.policy import Policy
from credit_risk.model.store import StoredModel
from credit_risk.model.table import columns_of
from credit_risk.portfolio.checking import Chunk
from credit_risk.portfolio.scoring import score_chunk
from credit_risk.training.data import Dataset
from tests.corpus import SAMPLE
from tests.deciders import CATALOGUE, POLICY
from tests.model.test_features import APPLICATIONS
from tests.policies import ALL_RULES, POLICIES
from tests.portfolio.files import assert_as_the_service, by_the_service, read_csv, run, scoring, write

pytestmark = pytest.mark.usefixtures("trained")


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


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal_it_leaves_nothing_behind(number: signal.Signals, workers: int, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("before")
    with scoring(tmp_path / "in.ndjson", output, workers) as (process, pipe):
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
