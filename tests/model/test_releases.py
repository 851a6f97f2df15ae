"""What is latest, in model stores of their own that hold copies of the trained model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, MODEL_NAME, releases
from credit_risk.model.manifest import Manifest
from credit_risk.model.releases import RECORD, latest_version, promote, record_of
from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.models import editing, folder_of, seal


def put(model: StoredModel, models: Path, name: str, version: str) -> Path:
    """Copy the trained model into a store as NAME:VERSION, and make it the latest of that name."""
    folder = models / name / version
    shutil.copytree(folder_of(model), folder)
    with editing(folder / "model.yaml") as content:
        content |= {"name": name, "version": version}
    seal(folder)
    (models / name / "latest").write_text(version)
    return folder


@pytest.fixture
def models(model: StoredModel, tmp_path: Path) -> Path:
    """A store with a released model and a candidate."""
    put(model, tmp_path / "models", MODEL_NAME, "old")
    put(model, tmp_path / "models", CANDIDATE_NAME, "new")
    return tmp_path / "models"


def promoted(models: Path, version: str = "new", **given: Any) -> Any:
    return promote(models, version, **{"by": "Ann", "why": "the best so far", "faults": []} | given)


def bentoml(models: Path, program: str) -> str:
    """Run a program that imports bentoml with this store."""
    environment = os.environ | {"BENTOML_HOME": str(models.parent)}
    command = [sys.executable, "-c", f"import bentoml; {program}"]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


LATEST_TAG = "print(bentoml.models.get('credit_risk_model:latest').tag)"


def test_a_promoted_candidate_is_latest_whole_and_on_record(models: Path) -> None:
    before = (models / CANDIDATE_NAME / "new" / "saved_model.ubj").read_bytes()
    promotion = promoted(models, faults=["it is slow"])
    assert latest_version(models) == "new"
    folder = models / MODEL_NAME / "new"
    assert Manifest.read(folder).faults_of(folder) == []
    assert (folder / "saved_model.ubj").read_bytes() == before
    assert bentoml(models, LATEST_TAG) == "credit_risk_model:new"
    assert not (models / CANDIDATE_NAME).exists()
    assert record_of(models) == [promotion]
    assert json.loads((models / RECORD).read_text()) == {
        "at": promotion.model_dump(mode="json")["at"],
        "by": "Ann",
        "why": "the best so far",
        "from": "old",
        "to": "new",
        "faults": ["it is slow"],
    }


def test_a_released_model_can_return(models: Path) -> None:
    promoted(models)
    promoted(models, "old", why="the new one is worse")
    assert latest_version(models) == "old"
    assert [(line.before, line.to) for line in record_of(models)] == [("old", "new"), ("new", "old")]
    assert bentoml(models, LATEST_TAG) == "credit_risk_model:old"


@pytest.mark.parametrize("step", ["_release", "_remove", "Path.replace", "Path.rename", "Manifest.write", "os.fsync"])
def test_wherever_promoting_ends_the_latest_is_whole_and_on_record(
    models: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _, name = step.rpartition(".")
    places = {"": releases, "Path": Path, "Manifest": Manifest, "os": os}

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(places[owner], name, crash)
        with pytest.raises(KeyboardInterrupt):
            promoted(models)
    latest = latest_version(models)
    assert latest == ("new" if step == "_remove" else "old")
    assert latest == "old" or record_of(models)[-1].to == latest
    assert bentoml(models, LATEST_TAG) == f"credit_risk_model:{latest}"
    for folder in (path for path in (models / MODEL_NAME).iterdir() if path.is_dir()):
        assert Manifest.read(folder).faults_of(folder) == []
    promoted(models)
    assert latest_version(models) == "new"
    assert not (models / CANDIDATE_NAME).exists()


def test_bentoml_never_takes_a_candidate_for_the_latest(models: Path, model: StoredModel) -> None:
    put(model, models, MODEL_NAME, "older")
    (models / MODEL_NAME / "latest").unlink()
    assert bentoml(models, LATEST_TAG) in ("credit_risk_model:old", "credit_risk_model:older")
    deleted = "bentoml.models.delete('credit_risk_model:latest')"
    assert bentoml(models, f"{deleted}; {LATEST_TAG}") in ("credit_risk_model:old", "credit_risk_model:older")
    missing = (
        "from bentoml.exceptions import NotFound\n"
        "try: bentoml.models.get('credit_risk_model:latest')\n"
        "except NotFound: print('none')"
    )
    assert bentoml(models, f"{deleted}\n{missing}") == "none"


def test_the_record_outlives_the_models(models: Path) -> None:
    promoted(models)
    bentoml(models, "[bentoml.models.delete(m.tag) for m in bentoml.models.list('credit_risk_model')]")
    assert not (models / MODEL_NAME).exists()
    assert [promotion.to for promotion in record_of(models)] == ["new"]


def test_promotions_at_the_same_time_follow_each_other(models: Path, model: StoredModel) -> None:
    versions = [f"v{number}" for number in range(8)]
    for version in versions:
        put(model, models, CANDIDATE_NAME, version)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda version: promoted(models, version), versions))
    record = record_of(models)
    assert sorted(line.to for line in record) == versions
    assert [line.before for line in record] == ["old", *(line.to for line in record[:-1])]
    assert latest_version(models) == record[-1].to


def test_a_line_that_is_no_promotion_is_named(models: Path) -> None:
    promoted(models)
    with (models / RECORD).open("a") as file:
        file.write('{"at": "now"}\n')
    with pytest.raises(ModelError, match=rf"line 2 of .*{RECORD} is no promotion; restore"):
        record_of(models)
