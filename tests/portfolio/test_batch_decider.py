"""The function that every engine calls: a record batch in, a record batch out."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from click.testing import CliRunner

from credit_risk.commands.cli import cli
from credit_risk.contract.application import FIELDS
from credit_risk.contract.customer import is_reference
from credit_risk.contract.errors import DataError
from credit_risk.contract.record import DecisionRecord
from credit_risk.deciding.decided import Origin
from credit_risk.model.store import StoredModel
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import json_of_value
from credit_risk.portfolio.checking import check_table
from credit_risk.portfolio.outcome import REJECTS, split_outcome
from credit_risk.portfolio.recording import RecordedAs, Recording
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.corpus import SAMPLE
from tests.deciders import CATALOGUE, POLICY
from tests.portfolio.files import assert_as_the_service, by_the_service

pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture(scope="module")
def decider(model: StoredModel) -> BatchDecider:
    return BatchDecider(model, POLICY, CATALOGUE)


MIXED = [
    {"id": "a", **SAMPLE, "Status": "x"},
    {"id": "b", **SAMPLE, "Status": "y", "age": 31417, "home": "Owner"},
    {"id": "c", **SAMPLE, "Status": "z", "records": "yes"},
]


def test_decisions_are_the_services(decider: BatchDecider, synthetic: Dataset, model: StoredModel) -> None:
    applications = synthetic.applications[:1000]
    found = decider(pa.RecordBatch.from_pylist([each.model_dump() for each in applications])).to_pylist()
    assert_as_the_service(found, by_the_service(applications, model, POLICY))
    assert all(row["faults"] is None for row in found)


def test_a_refused_row_keeps_its_place_and_its_further_columns(decider: BatchDecider) -> None:
    batch = pa.RecordBatch.from_pylist(MIXED)
    found = decider(batch)
    assert found.schema == decider.schema(batch.schema)
    rows = found.to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert [row["input_Status"] for row in rows] == ["x", "y", "z"]
    assert [row["Status"] is None for row in rows] == [False, True, False]
    assert [fault["field"] for fault in rows[1]["faults"]] == ["home", "age"]
    assert "31417" not in str(rows)
    others = [decider(batch.slice(place, 1)).to_pylist()[0] for place in range(3)]
    assert others == rows


@pytest.mark.parametrize("rows", [[], MIXED[1:2]], ids=["no row", "all refused"])
def test_without_a_decision_the_columns_are_the_same(decider: BatchDecider, rows: list[object]) -> None:
    schema = pa.RecordBatch.from_pylist(MIXED).schema
    found = decider(pa.RecordBatch.from_pylist(rows, schema))
    assert found.schema == decider.schema(schema)
    assert found["Status"].null_count == len(rows)


def test_what_lacks_a_column_is_refused_in_a_sentence(decider: BatchDecider) -> None:
    with pytest.raises(DataError, match="the batch lacks the column age"):
        decider(pa.RecordBatch.from_pylist([{name: value for name, value in SAMPLE.items() if name != "age"}]))


def test_pickled_it_decides_where_there_is_neither_a_store_nor_a_file(decider: BatchDecider, tmp_path: Path) -> None:
    batch = pa.RecordBatch.from_pylist(MIXED)
    expected = decider(batch)
    (tmp_path / "decider").write_bytes(pickle.dumps(decider))
    with pa.OSFile(str(tmp_path / "in"), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write(batch)
    script = """
import pickle, sys, pyarrow as pa, pathlib
one, other = [pickle.loads(pathlib.Path("decider").read_bytes()) for _ in range(2)]
one.load()
batch = pa.ipc.open_file("in").read_all().to_batches()[0]
assert other(batch).equals(one(batch))
assert other._deciding is one._deciding
pathlib.Path("out").write_bytes(pickle.dumps(pa.table(one(batch))))
"""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "BENTOML_HOME": str(tmp_path / "nothing")}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert pickle.loads((tmp_path / "out").read_bytes()).to_batches()[0].equals(expected)


@pytest.mark.parametrize("column", [["A-1", "A-2", ""], [1, 2, 3], ["A-1", None, "x" * 65]])
def test_a_column_of_references_goes_on_record_where_it_has_some(model: StoredModel, column: list[Any]) -> None:
    recorded_as = RecordedAs(Origin("job 7", None), "1.2.3")
    decider = BatchDecider(model, POLICY, CATALOGUE, recorded_as=recorded_as)
    rows = [{**SAMPLE, "reference": reference} for reference in column]
    chunk = check_table(pa.Table.from_pylist(rows), np.arange(3), [], json_of_value)
    outcome = decider.decide(chunk)
    records = [DecisionRecord.model_validate_json(line) for line in outcome["record"].to_pylist()]
    assert [each.reference for each in records] == [each if is_reference(each) else None for each in column]
    assert outcome["reference"].to_pylist() == column


def test_a_chunk_of_a_file_is_decided_and_recorded_under_ids_of_its_rows(model: StoredModel, tmp_path: Path) -> None:
    recorded_as = RecordedAs(Origin("job 7", "bank"), "1.2.3", "7-{}".format)
    decider = pickle.loads(pickle.dumps(BatchDecider(model, POLICY, CATALOGUE, recorded_as=recorded_as)))
    table = pa.Table.from_pylist(MIXED)
    known = [(40, "", "has 12 cells")]
    chunk = check_table(table, np.array([10, 30, 50]), known, json_of_value)
    outcome = decider.decide(chunk)
    assert outcome["row"].to_pylist() == [10, 30, 40, 50]
    decisions, rejects = split_outcome(outcome)
    assert rejects.schema == REJECTS
    assert [(row["row"], row["field"]) for row in rejects.to_pylist()] == [(30, "home"), (30, "age"), (40, "")]
    assert decisions["decision_id"].to_pylist() == ["7-10", "7-50"]
    records = [DecisionRecord.model_validate_json(line) for line in decisions["record"].to_pylist()]
    assert [(each.decision_id, each.request_id, each.caller) for each in records] == [
        ("7-10", "job 7", "bank"),
        ("7-50", "job 7", "bank"),
    ]
    assert [json.loads(each.application.model_dump_json()) for each in records] == [
        {field: MIXED[place][field] for field in FIELDS} for place in (0, 2)
    ]
    assert [each.reference for each in records] == [None, None]
    with Recording(tmp_path, decider.basis) as recording:
        recording.write(decisions["record"])
        recording.whole = True
    assert CliRunner().invoke(cli, ["replay", str(tmp_path)]).output == "2 decisions, all identical\n"
