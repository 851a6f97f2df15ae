"""A log that a real decider left, and another model than the one that decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_risk.contract.policy import load_policy
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.models import another_booster, copy_with
from tests.replay.logs import PLANTED, N, record


@pytest.fixture(scope="module")
def written(model: StoredModel, synthetic: Dataset, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("log")
    policy = load_policy(PROJECT / "policy.yaml")
    return record(folder, model, policy, [*synthetic.applications[: N - 1], PLANTED]).read_bytes()


@pytest.fixture
def log(written: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "decisions-1.ndjson"
    file.write_bytes(written)
    return file


@pytest.fixture(scope="module")
def other_model(model: StoredModel, synthetic: Dataset) -> StoredModel:
    return copy_with(another_booster(model, synthetic, seed=2), model, "replay_model")
