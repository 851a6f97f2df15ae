"""The example of Spark, run as it is, with a real Spark in local mode."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.portfolio.files import read_csv, run, write


def test_spark_decides_as_this_machine_does(python: Path, synthetic: Dataset, tmp_path: Path) -> None:
    if not shutil.which("java"):
        assert not os.environ.get("REQUIRE_ENGINES"), "there is no Java: run .ci/client-runtimes"
        pytest.skip("Java is not installed: run .ci/client-runtimes")
    rows = [{"id": number, **each.model_dump()} for number, each in enumerate(synthetic.applications)]
    rows[7]["age"], rows[8]["home"] = 31417, "Owner"
    source, target = write(tmp_path / "in.parquet", rows), tmp_path / "spark"
    environment = os.environ | {
        "PYSPARK_PYTHON": str(python),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(PROJECT),
    }
    script = PROJECT / "examples" / "spark" / "score.py"
    command = [str(python.with_name("spark-submit")), "--master", "local[2]", str(script), str(source), str(target)]
    result = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    found = sorted(pq.read_table(target).to_pylist(), key=lambda row: row["id"])
    assert [row["id"] for row in found] == list(range(len(rows)))
    assert run(source, "-o", tmp_path / "out.parquet").exit_code == 0
    expected = pq.read_table(tmp_path / "out.parquet").drop_columns(["row"]).to_pylist()
    assert [row for row in found if row.pop("faults") is None] == expected
    refused = [
        (str(row["id"] + 1), fault["field"], fault["fix"])
        for row in sorted(pq.read_table(target).to_pylist(), key=lambda row: row["id"])
        for fault in row["faults"] or ()
    ]
    assert refused == [(row["row"], row["field"], row["fix"]) for row in read_csv(tmp_path / "out.rejects.csv")]
