"""A desk for jobs and a runner, over real stores, in this process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.record import DecisionRecord
from credit_risk.jobs.files import JobFolder
from credit_risk.jobs.job import InputForm, Job
from credit_risk.jobs.recording import ChunkLog
from credit_risk.jobs.running import Limits, Runner
from credit_risk.jobs.sources import Sources
from credit_risk.jobs.sweeping import Sweeper
from credit_risk.model.store import StoredModel
from credit_risk.serving.job_wish import Wish
from credit_risk.serving.jobs import Desk
from credit_risk.serving.settings import Settings
from tests.deciders import RELEASE, terms_of
from tests.record.sealed_logs import seal_of
from tests.records import decision_lines

NOBODY = Wish(None)


class Workshop:
    """A desk, and what runs what was handed in."""

    def __init__(self, folder: Path, model: StoredModel, **settings: Any) -> None:
        self.log = folder / "decisions"
        places: dict[str, Any] = {"jobs": f"sqlite:///{folder}/jobs.sqlite", "jobs_folder": folder / "jobs"}
        self.settings = Settings(**(places | settings))
        self.desk = Desk(self.settings, terms_of(model), RELEASE)
        self.store, self.files = self.desk.store, self.desk.files
        self.queue = self.desk._queue
        self.sweeper = Sweeper(self.store, self.queue, self.files)

    def hand_in(self, content: bytes, form: InputForm = "csv", wish: Wish = NOBODY) -> Job:
        async def pieces() -> AsyncIterator[bytes]:
            for begin in range(0, len(content), 10_000):
                yield content[begin : begin + 10_000]

        return asyncio.run(self.desk.take_file(wish, form, pieces(), len(content)))

    def runner(self, is_stopping: Callable[[], bool] = lambda: False, **limits: Any) -> Runner:
        bounds = Limits(**({"lease_seconds": 30.0, "most_seconds": 600.0, "most_bytes": 10**8} | limits))
        sources = Sources(self.settings.jobs_sources)
        log = ChunkLog(str(self.log), seal_of(self.log), encrypts=self.settings.decision_log_encrypt)
        return Runner(self.store, self.queue, self.files, log, bounds, sources, is_stopping)

    def run(self, job: Job) -> Job:
        """Run a job as a worker does, and give what has become of it."""
        self.runner().run(job.id)
        return self.found(job)

    def sweep_when_due(self, job: Job) -> None:
        """Look after a job as soon as its lease is over."""
        time.sleep(max(0.0, self.found(job).due - time.time()))
        self.sweeper.sweep(time.time())

    def found(self, job: Job) -> Job:
        found = self.store.get(job.id)
        assert found is not None
        return found

    def folder(self, job: Job) -> JobFolder:
        return self.files.of(job.id)

    def decisions(self, job: Job) -> list[dict[str, Any]]:
        """The rows of the result."""
        return [json.loads(line) for line in self.folder(job).result("ndjson").read_text().splitlines()]

    def records(self) -> Sequence[DecisionRecord]:
        """What is on record."""
        return [DecisionRecord.model_validate_json(line) for line in self.lines()]

    def lines(self) -> list[bytes]:
        return decision_lines(self.log)


@pytest.fixture
def workshop(tmp_path: Path, model: StoredModel) -> Workshop:
    return Workshop(tmp_path, model)
