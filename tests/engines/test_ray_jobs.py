"""A worker that hands the rows of its jobs to a Ray cluster."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from credit_risk.jobs.job import Job
from credit_risk.model.store import StoredModel
from credit_risk.serving import jobs as serving_jobs
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.engines.conftest import environment
from tests.jobs.conftest import Workshop, workshop
from tests.portfolio.files import write

__all__ = ["workshop"]  # a fixture
ROWS = 350


def worked_off(workshop: Workshop, python: Path, address: str, *jobs: Job) -> list[Job]:
    """Run a worker until these jobs have ended."""
    settings = {
        "CREDIT_RISK_JOBS": workshop.settings.jobs,
        "CREDIT_RISK_JOBS_FOLDER": str(workshop.settings.jobs_folder),
        "CREDIT_RISK_DECISION_LOG": str(workshop.log),
        "CREDIT_RISK_JOBS_RAY": address,
    }
    command = [str(python), "-m", "credit_risk", "worker"]
    worker = subprocess.Popen(command, cwd=PROJECT, env=environment(settings), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not all(workshop.found(job).has_ended for job in jobs) and time.monotonic() < deadline:
        time.sleep(0.2)
    worker.terminate()
    assert worker.wait(60) == 0
    return [workshop.found(job) for job in jobs]


def test_what_comes_of_a_job_is_the_same(
    workshop: Workshop,
    model: StoredModel,
    synthetic: Dataset,
    tmp_path: Path,
    python: Path,
    cluster: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_jobs, "ROWS_AT_ONCE", 100)
    rows = [application.model_dump() for application in synthetic.applications[:ROWS]]
    rows[5] |= {"income": -1}
    content = write(tmp_path / "in.ndjson", rows).read_bytes()
    here = Workshop(tmp_path / "here", model)
    expected = here.run(here.hand_in(content, "ndjson"))
    good, bad = workshop.hand_in(content, "ndjson"), workshop.hand_in(content + b"{\n", "ndjson")
    ended, failed = worked_off(workshop, python, cluster, good, bad)
    assert (ended.state, ended.done, ended.refused, ended.chunks) == ("succeeded", ROWS, 1, 4)
    assert (failed.state, failed.error) == ("failed", "line 351 of the file is not JSON; put it right, or take it out")

    def decisions(place: Workshop, job: Job) -> list[dict[str, object]]:
        return [{k: v for k, v in row.items() if k != "decision_id"} for row in place.decisions(job)]

    assert decisions(workshop, ended) == decisions(here, expected)
    assert workshop.folder(ended).rejects.read_text() == here.folder(expected).rejects.read_text()
    on_record = [record.decision_id for record in workshop.records() if record.request_id == f"job {ended.id}"]
    assert on_record == [row["decision_id"] for row in workshop.decisions(ended)]


def test_a_cluster_that_does_not_answer_is_tried_again_later(
    workshop: Workshop, synthetic: Dataset, tmp_path: Path, python: Path
) -> None:
    rows = [application.model_dump() for application in synthetic.applications[:10]]
    job = workshop.hand_in(write(tmp_path / "in.csv", rows).read_bytes())
    settings = {
        "CREDIT_RISK_JOBS": workshop.settings.jobs,
        "CREDIT_RISK_JOBS_FOLDER": str(workshop.settings.jobs_folder),
        "CREDIT_RISK_DECISION_LOG": str(workshop.log),
        "CREDIT_RISK_JOBS_RAY": "127.0.0.1:9",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "1",
    }
    command = [str(python), "-m", "credit_risk", "worker"]
    worker = subprocess.Popen(command, cwd=PROJECT, env=environment(settings), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while workshop.found(job).wait_until == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    worker.terminate()
    assert worker.wait(90) == 0
    assert (workshop.found(job).state, workshop.found(job).error) == ("queued", None)
    assert workshop.found(job).wait_until > 0
