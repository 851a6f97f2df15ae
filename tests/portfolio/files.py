"""Files of applications, the command that decides them, and what the service decides on the same."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.policy import Policy
from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.deciders import answers_of

Row = dict[str, Any]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *(str(argument) for argument in arguments)])


@contextmanager
def scoring(source: Path, output: Path, workers: int) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The command on a pipe that stays open, so that it is in the middle of its work; a chunk is a row."""
    os.mkfifo(source)
    # A process that a script starts in the background ignores SIGINT, and so would those that it starts.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run_it = "from credit_risk.commands.cli import cli; cli()"
    options = ["-o", str(output), "--rows-at-once", "1", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heed}; {run_it}", "score", str(source), *options],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, source.open("w") as pipe:
        try:
            yield process, pipe
        finally:
            process.kill()


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
