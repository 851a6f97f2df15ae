"""Several processes write what one would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from credit_risk.commands.cli import cli
from credit_risk.contract.record import DecisionRecord
from credit_risk.model.store import StoredModel
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import Block
from credit_risk.portfolio.local_engine import AHEAD, SMALL, decide_all, workers_for
from credit_risk.portfolio.readers import Lines, read_rows
from credit_risk.portfolio.work import Outputs
from credit_risk.portfolio.writer import Layout, Output
from tests.corpus import SAMPLE
from tests.deciders import CATALOGUE, POLICY
from tests.portfolio.files import run, scoring, write
from tests.records import decision_lines

pytestmark = pytest.mark.usefixtures("trained")

# Refused rows, first of all and in between, and a further column that is empty in the first chunks.
ROWS = [
    SAMPLE
    | {"amount": 100 + 10 * number, "income": "much" if number < 120 or number % 7 == 0 else 129.0}
    | {"note": None if number < 300 else f"note {number}"}
    for number in range(1000)
]
NUMBERS = [row | {"income": None if row["income"] == "much" else row["income"]} for row in ROWS]


@pytest.mark.parametrize("kind", [".csv", ".ndjson", ".parquet"])
@pytest.mark.parametrize("output", [".csv", ".ndjson", ".parquet"])
def test_any_number_of_workers_writes_the_same_bytes(kind: str, output: str, tmp_path: Path) -> None:
    source = write(tmp_path / f"in{kind}", NUMBERS if kind == ".parquet" else ROWS)
    said = []
    for workers in (1, 2, 3):
        result = run(source, "-o", tmp_path / f"{workers}{output}", "--rows-at-once", 50, "--workers", workers)
        assert result.exit_code == 0, result.output
        said.append(result.output.replace(f"{tmp_path / str(workers)}.rejects.csv", "REJECTS"))
    assert said[0] == said[1] == said[2]
    for name in ("{}.rejects.csv", "{}" + output):
        files = [tmp_path / name.format(workers) for workers in (1, 2, 3)]
        assert files[0].exists() or (name == "{}.rejects.csv" and kind == ".parquet")
        if files[0].exists():
            assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def test_records_are_those_of_the_decisions_in_their_order(tmp_path: Path) -> None:
    source, log = write(tmp_path / "in.csv", ROWS), tmp_path / "log"
    options = ("--rows-at-once", 50, "--workers", 2, "--decision-log", log)
    result = run(source, "-o", tmp_path / "out.ndjson", *options)
    assert result.exit_code == 0, result.output
    decisions = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    records = [DecisionRecord.model_validate_json(line) for line in decision_lines(log)]
    assert [record.decision_id for record in records] == [decision["decision_id"] for decision in decisions]
    assert [record.score for record in records] == [decision["score"] for decision in decisions]
    assert "record" not in decisions[0]
    assert CliRunner().invoke(cli, ["replay", str(log)]).output == f"{len(decisions)} decisions, all identical\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [("{secret", "line 501 of"), (json.dumps(SAMPLE | {"late": 1}), "a further column comes late")],
)
def test_what_is_wrong_in_a_worker_is_one_sentence(line: str, told: str, tmp_path: Path) -> None:
    lines = [json.dumps(SAMPLE)] * 500
    (tmp_path / "in.ndjson").write_text("\n".join([*lines, line, *lines]))
    result = run(tmp_path / "in.ndjson", "-o", tmp_path / "out.csv", "--rows-at-once", 50, "--workers", 2)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert told in result.output
    assert "secret" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["in.ndjson"]


def test_it_reads_only_so_far_ahead(model: StoredModel, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", ROWS)
    read_of, written = 0, 0

    class Counted(Output):
        def append(self, text: bytes, layout: Layout) -> None:
            nonlocal written
            written += 1
            super().append(text, layout)

    def chunks() -> Iterator[Block | Lines]:
        nonlocal read_of
        for chunk in read_rows(source, 10, lambda _: None):
            assert read_of - written <= 2 + AHEAD + 120 // 10  # nothing is written of the first, which are refused
            read_of += 1
            yield chunk

    with Counted(tmp_path / "out.csv") as decisions, Output(tmp_path / "rejects.csv") as rejects:
        decider = BatchDecider(model, POLICY, CATALOGUE)
        counts = decide_all(chunks(), decider, Outputs(decisions, rejects), workers=2)
    assert counts.statuses.total() + counts.refused == len(ROWS)
    assert read_of >= 100


def test_a_small_file_is_left_to_one_process(tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_bytes(bytes(SMALL - 1))
    (tmp_path / "large.csv").write_bytes(bytes(SMALL))
    assert workers_for(tmp_path / "small.csv") == workers_for(tmp_path / "nowhere.csv") == 1
    assert workers_for(tmp_path / "large.csv") == len(psutil.Process().cpu_affinity())


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Those that the forkserver has forked."""
    return [grandchild for child in process.children() for grandchild in child.children()]


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_dies_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    with scoring(tmp_path / "in.ndjson", tmp_path / "out.csv", 2) as (process, pipe):
        pipe.write(f"{json.dumps(SAMPLE)}\n" * 3)
        pipe.flush()
        until(lambda: len(workers_of(psutil.Process(process.pid))) == 2)
        workers_of(psutil.Process(process.pid))[0].kill()
        pipe.write(f"{json.dumps(SAMPLE)}\n" * 3)
        pipe.close()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == (
        "Error: a worker process died, so nothing was written; if memory was short, lower --workers or --rows-at-once\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.ndjson"]


def test_workers_end_with_the_command_however_that_ends(tmp_path: Path) -> None:
    with scoring(tmp_path / "in.ndjson", tmp_path / "out.csv", 2) as (process, pipe):
        pipe.write(f"{json.dumps(SAMPLE)}\n" * 3)
        pipe.flush()
        until(lambda: workers_of(psutil.Process(process.pid)))
        left = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        until(lambda: not any(other.is_running() and other.status() != psutil.STATUS_ZOMBIE for other in left))
