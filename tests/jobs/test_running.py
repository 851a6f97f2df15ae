"""Jobs are decided chunk by chunk; what dies in between goes on, and each row is decided and on record once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from credit_risk.contract.application import EXAMPLE
from credit_risk.jobs.changes import cancel, claim
from credit_risk.jobs.job import Job
from credit_risk.jobs.lease import HeldLease
from credit_risk.jobs.parts import Parts
from credit_risk.jobs.recording import ChunkLog
from credit_risk.jobs.sqlite_store import SqliteJobs
from credit_risk.jobs.store import StoreError, change
from credit_risk.model.store import StoredModel
from credit_risk.record.erasing import key_files
from credit_risk.record.reader import LogReader
from credit_risk.serving import jobs as serving_jobs
from credit_risk.training.data import Dataset
from tests.deciders import answers_of
from tests.jobs.conftest import Workshop
from tests.portfolio.files import assert_as_the_service, read_csv, write
from tests.record.sealed_logs import found_in

pytestmark = pytest.mark.usefixtures("small_chunks")
GOOD = EXAMPLE.model_dump()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_risk.jobs.changes.BACKOFF_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(serving_jobs, "ROWS_AT_ONCE", 100)


@pytest.fixture
def rows(synthetic: Dataset) -> list[dict[str, Any]]:
    return [application.model_dump() for application in synthetic.applications[:350]]


@pytest.fixture
def table(tmp_path: Path, rows: list[dict[str, Any]]) -> bytes:
    return write(tmp_path / "in.csv", rows).read_bytes()


def expected(model: StoredModel, synthetic: Dataset) -> list[dict[str, Any]]:
    return [json.loads(answer) for answer in answers_of(model, synthetic.applications[:350])]


class Died(BaseException):
    """As sudden as a kill -9, as far as one process can."""


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "json"])
def test_every_form_is_decided_as_the_service_does(
    workshop: Workshop, model: StoredModel, synthetic: Dataset, rows: list[dict[str, Any]], tmp_path: Path, form: Any
) -> None:
    given = tmp_path / f"given.{form}"
    content = json.dumps(rows, indent=1).encode() if form == "json" else write(given, rows).read_bytes()
    job = workshop.run(workshop.hand_in(content, form))
    assert (job.state, job.rows, job.done, job.refused, job.chunks) == ("succeeded", 350, 350, 0, 4)
    answers = expected(model, synthetic)
    decided = workshop.decisions(job)
    assert_as_the_service(decided, answers)
    assert [row["row"] for row in decided] == list(range(1, 351))
    folder = workshop.folder(job)
    assert [row["decision_id"] for row in decided] == [row["decision_id"] for row in read_csv(folder.result("csv"))]
    assert pq.read_table(folder.result("parquet")).to_pylist() == decided
    assert sum(job.decisions.values()) == 350
    assert not folder.input(form).exists()
    assert job.size == folder.kept() > 0


def test_each_decision_is_on_record_under_the_id_of_its_row(workshop: Workshop, table: bytes) -> None:
    job = workshop.run(workshop.hand_in(table))
    records = workshop.records()
    assert [record.decision_id for record in records] == [row["decision_id"] for row in workshop.decisions(job)]
    assert len({record.decision_id for record in records}) == 350
    assert {record.request_id for record in records} == {f"job {job.id}"}
    assert sorted(record.decision_id for record in records) != [record.decision_id for record in records]
    assert {record.decision_id[:13] for record in records} == {job.id[:13]}  # the time of the job


def test_what_is_personal_is_encrypted_where_that_is_set(
    tmp_path: Path, model: StoredModel, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(tmp_path, model, decision_log_encrypt=True)
    append = ChunkLog.append

    def append_twice(*arguments: Any) -> None:
        append(*arguments)
        append(*arguments)

    monkeypatch.setattr(ChunkLog, "append", append_twice)
    job = workshop.run(workshop.hand_in(table))
    assert not any(b'"application"' in line for line in workshop.lines())
    assert len(key_files([workshop.log])) == job.chunks == 4
    entries = list(LogReader([str(workshop.log)], lenient=False).entries())
    assert [each.record.decision_id for each in entries] == [row["decision_id"] for row in workshop.decisions(job)]


@pytest.mark.parametrize(
    ("where", "what"), [(ChunkLog, "append"), (Parts, "write"), (Parts, "join")], ids=["record", "part", "result"]
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("dies_in", [1, 3])  # the chunks that have rejects
def test_a_death_at_any_point_loses_nothing_and_repeats_nothing(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch, where: type, what: str, when: str, dies_in: int
) -> None:
    header, *lines = table.splitlines(keepends=True)
    faulty = header + b"".join([*lines[:5], b"x" + lines[5], *lines[6:255], b"x" + lines[255], *lines[256:]])
    job, step = workshop.hand_in(faulty), getattr(where, what)
    calls: list[int] = []

    def dying(*arguments: Any) -> Any:
        calls.append(1)
        if what == "join" or len(calls) == dies_in:
            if when == "after":
                step(*arguments)
            raise Died
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(where, what, dying)
        with pytest.raises(Died):
            workshop.runner(lease_seconds=0.3).run(job.id)
    dead = workshop.found(job)
    assert (dead.state, dead.chunks) == ("running", 4 if what == "join" else dies_in - 1)
    workshop.sweep_when_due(job)
    assert workshop.found(job).state == "queued"
    ended = workshop.run(job)
    assert (ended.state, ended.done, ended.refused) == ("succeeded", 350, 2)
    assert [reject["row"] for reject in read_csv(workshop.folder(job).rejects)] == ["6", "256"]
    ids = [row["decision_id"] for row in workshop.decisions(job)]
    assert [record.decision_id for record in workshop.records()] == ids
    assert len(set(ids)) == 348
    assert sum(ended.decisions.values()) == 348
    verdict = found_in(workshop.log)
    assert (verdict.faults, verdict.unsigned, len(verdict.chains)) == ([], 0, 1)


def test_a_change_whose_answer_is_lost_is_made_once(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may do what it is asked for, and fail before it says so."""
    job, replace = workshop.hand_in(table), SqliteJobs.replace
    lost: list[int] = []

    def losing(store: SqliteJobs, before: Job, after: Job | None, totals: Any = None) -> bool:
        done = replace(store, before, after, totals)
        if after is not None and after.chunks > before.chunks and len(lost) < after.chunks:
            lost.append(after.chunks)
            raise StoreError("the answer is lost")
        return done

    monkeypatch.setattr(SqliteJobs, "replace", losing)
    ended = workshop.run(job)
    assert lost == [1, 2, 3, 4]
    assert (ended.state, ended.chunks, ended.done) == ("succeeded", 4, 350)
    assert len(workshop.decisions(job)) == len(workshop.lines()) == workshop.store.figures().totals["rows"] == 350


def test_a_job_closes_what_its_threads_have_opened(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, connect = workshop.hand_in(table), sqlite3.connect
    opened: list[sqlite3.Connection] = []

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        if threading.current_thread() is not threading.main_thread():
            opened.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", noted)
    workshop.runner(lease_seconds=0.01).run(job.id)
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            connection.execute("SELECT 1")


def test_refused_rows_are_listed_and_the_others_decided(workshop: Workshop, rows: list[dict[str, Any]]) -> None:
    rows[5] |= {"income": -1}
    rows[222] |= {"home": "castle", "debt": "much"}
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    job = workshop.run(workshop.hand_in(content, "ndjson"))
    assert (job.state, job.done, job.refused, sum(job.decisions.values())) == ("succeeded", 350, 2, 348)
    rejects = read_csv(workshop.folder(job).rejects)
    assert [(reject["row"], reject["field"]) for reject in rejects] == [
        ("6", "income"),
        ("223", "home"),
        ("223", "debt"),
    ]
    assert "castle" not in workshop.folder(job).rejects.read_text()


@pytest.mark.parametrize(
    ("content", "form", "fault"),
    [
        (b"age,income\n1,2\n", "csv", "the file lacks the column"),
        (b"\xff\xfe\n", "csv", "the file is not UTF-8 text; save it in UTF-8"),
        (b"{\n", "ndjson", "line 1 of the file is not JSON; put it right, or take it out"),
        (b"PAR1 is all", "parquet", "the file is broken, or not parquet; write it anew"),
        (b"[]", "json", "it holds no application"),
        (b"\n\n", "ndjson", "it holds no application"),
        (b"{}\n" * 3, "ndjson", "every row is refused; /rejects says why"),
        (b"{}", "json", "the file is not a JSON array; send [...], or one JSON object a line as application/x-ndjson"),
        (b"[{},", "json", "item 2 of the file is not JSON; put it right, or take it out"),
        (b'[{"age": 1}', "json", "the file ends behind item 1"),
        (b"[{} {}]", "json", "the file lacks a comma behind item 1"),
        (b"[{}] more", "json", "the file goes on behind its JSON array; leave that out"),
        (b"[" * 100_000, "json", "item 1 of the file is not JSON; put it right, or take it out"),
    ],
)
def test_a_file_that_can_not_be_used_ends_the_job_with_its_fault(
    workshop: Workshop, content: bytes, form: Any, fault: str
) -> None:
    job = workshop.run(workshop.hand_in(content, form))
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.startswith(fault)
    assert job.attempts == 1
    assert workshop.lines() == []


def test_a_full_disk_ends_the_job_and_not_the_worker(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Parts, "write", full)
        job = workshop.run(workshop.hand_in(table))
    assert (job.state, job.error) == (
        "failed",
        "its files can't be written: No space left on device; make room for them",
    )
    assert workshop.run(workshop.hand_in(table)).state == "succeeded"


def test_what_can_pass_is_tried_again_later_and_not_for_ever(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("a secret of the applicant's")

    monkeypatch.setattr(Parts, "write", fails)
    job = workshop.run(workshop.hand_in(table))
    assert (job.state, job.attempts) == ("queued", 1)
    for _ in range(9):
        job = workshop.run(job)
    assert (job.state, job.error) == ("failed", "the worker failed: RuntimeError; it was tried 10 times")


def test_a_worker_that_is_told_to_end_ends_its_chunk_and_gives_the_job_back(workshop: Workshop, table: bytes) -> None:
    job = workshop.hand_in(table)
    workshop.queue.huey.dequeue()
    workshop.runner(is_stopping=lambda: True).run(job.id)
    given_back = workshop.found(job)
    assert (given_back.state, given_back.done, given_back.attempts) == ("queued", 100, 0)
    assert workshop.queue.huey.dequeue().args == (job.id,)
    assert workshop.run(job).state == "succeeded"
    assert len(workshop.lines()) == 350


def test_a_cancelled_job_stops_at_its_next_chunk(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, write_part = workshop.hand_in(table), Parts.write

    def cancelling(*arguments: Any) -> int:
        change(workshop.store, job.id, partial(cancel, now=time.time()))
        return write_part(*arguments)

    monkeypatch.setattr(Parts, "write", cancelling)
    cancelled = workshop.run(job)
    assert (cancelled.state, cancelled.done) == ("cancelled", 0)
    assert len(workshop.lines()) == 100  # these decisions are made
    assert not workshop.folder(job).path.exists()


@pytest.mark.parametrize("step", [Parts.write, Parts.join], ids=["a part", "the result"])
@pytest.mark.parametrize("times", [1, 2], ids=["cancelled", "forgotten"])
def test_what_is_written_of_a_job_that_nobody_wants_any_more_is_removed(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch, step: Callable[..., Any], times: int
) -> None:
    job = workshop.hand_in(table)

    def given_up(*arguments: Any) -> Any:
        for _ in range(times):
            asyncio.run(workshop.desk.give_up(None, job.id))
        workshop.folder(job).parts.mkdir(parents=True)  # as a worker that is in the middle of it does
        return step(*arguments)

    monkeypatch.setattr(Parts, step.__name__, given_up)
    workshop.runner().run(job.id)
    assert not workshop.folder(job).path.exists()


def test_a_job_is_not_run_by_two_at_a_time(workshop: Workshop, table: bytes) -> None:
    job = workshop.hand_in(table)
    change(workshop.store, job.id, partial(claim, worker="another", now=time.time(), seconds=60))
    workshop.runner().run(job.id)
    assert workshop.found(job).chunks == 0


def test_a_worker_that_was_paused_beyond_its_lease_changes_nothing_any_more(
    workshop: Workshop, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, write_part = workshop.hand_in(table), Parts.write
    ended: list[Any] = []

    def paused(*arguments: Any) -> int:
        if not ended:
            monkeypatch.setattr(Parts, "write", write_part)
            workshop.sweep_when_due(job)
            ended.append(workshop.run(job))
        return write_part(*arguments)

    monkeypatch.setattr(Parts, "write", paused)
    monkeypatch.setattr(HeldLease, "_renew", lambda _: None)  # its thread is paused, too
    workshop.runner(lease_seconds=0.3).run(job.id)
    assert workshop.found(job) == ended[0]
    assert ended[0].state == "succeeded"
    assert len(workshop.lines()) == 350


def test_a_job_is_decided_by_what_was_in_force_when_it_was_made(workshop: Workshop, table: bytes) -> None:
    job = workshop.hand_in(table)
    decided = workshop.run(job)
    archived = next((workshop.files.folder / "archive" / "policies").glob("*.json"))
    archived.write_bytes(archived.read_bytes() + b" ")
    again = workshop.run(workshop.hand_in(table))
    assert decided.state == "succeeded"
    assert again.state == "failed"
    assert "was changed: its sha256 is not its name" in str(again.error)
    assert {row["policy"] for row in workshop.decisions(job)} == {job.basis.policy_version}


def test_a_job_that_takes_too_long_fails(workshop: Workshop, table: bytes) -> None:
    job = workshop.hand_in(table)
    workshop.runner(most_seconds=0.0).run(job.id)
    assert (workshop.found(job).error or "").startswith("it took longer than 0 minutes")


def test_old_jobs_are_forgotten_with_their_files(tmp_path: Path, model: StoredModel, table: bytes) -> None:
    workshop = Workshop(tmp_path, model, jobs_keep_hours=1)
    job = workshop.run(workshop.hand_in(table))
    assert job.ended is not None
    workshop.sweeper.sweep(job.ended + 3599)
    assert workshop.store.get(job.id) is not None
    workshop.sweeper.sweep(job.ended + 3601)
    assert workshop.store.get(job.id) is None
    assert not workshop.folder(job).path.exists()
    assert len(workshop.lines()) == 350  # the record has a retention of its own
