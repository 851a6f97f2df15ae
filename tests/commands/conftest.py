"""A log that a real decider left, by a policy and a catalogue that the service does not have now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.commands.decisions import GERMAN, HOSTILE, Log
from tests.deciders import record_files, recording
from tests.policies import ALL_RULES


@pytest.fixture(scope="session")
def written(model: StoredModel, synthetic: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("written") / "decisions"
    writer, applications = record_files(folder), synthetic.applications[:60]
    decided = recording(model, applications, writer, policy=ALL_RULES, catalogue=GERMAN, origin=HOSTILE)
    writer.close()
    return Log(folder, decided)


@pytest.fixture
def log(written: Log, tmp_path: Path) -> Log:
    return Log(Path(shutil.copytree(written.folder, tmp_path / "decisions")), written.decided)
