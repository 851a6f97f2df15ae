"""What `python -m deploy.model_server export` writes. test_mlserver.py has MLServer read it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.neighbours.mlserver import export


def locked(package: str, file: str) -> list[str]:
    return [line for line in (PROJECT / file).read_text().splitlines() if line.startswith(f"{package}==")]


def test_mlserver_gets_the_booster_of_the_store_and_its_version(model: StoredModel, tmp_path: Path) -> None:
    result = export(tmp_path / "new" / "folder", "--model", model.tag)
    assert result.returncode == 0, result.stderr
    assert "CREDIT_RISK_SCORING=v2+http://localhost:8080/v2/models/credit_risk_model\n" in result.stdout
    folder = tmp_path / "new" / "folder" / "credit_risk_model"
    assert (folder / "model.ubj").read_bytes() == (model.folder / "saved_model.ubj").read_bytes()
    settings = json.loads((folder / "model-settings.json").read_text())
    assert settings["parameters"]["version"] == model.version
    assert settings["inputs"][0]["shape"] == [-1, len(model.encoder.names)]
    assert "max_batch_size" not in settings  # its batching stays off


def test_triton_gets_the_same_trees_and_the_version_in_the_name(model: StoredModel, tmp_path: Path) -> None:
    result = export(tmp_path, "--format", "triton")
    assert result.returncode == 0, result.stderr
    name = f"credit_risk_model-{model.version}"
    assert f"CREDIT_RISK_SCORING=v2+http://localhost:8000/v2/models/{name}\n" in result.stdout
    booster = xgb.Booster(model_file=tmp_path / name / "1" / "xgboost.json")
    rows = np.zeros((3, len(model.encoder.names)), dtype=np.float32)
    assert np.array_equal(booster.inplace_predict(rows, predict_type="margin"), model.scorer.margins(rows))
    config = (tmp_path / name / "config.pbtxt").read_text()
    assert f"dims: [ {len(model.encoder.names)} ]" in config
    assert config.count("{") == config.count("}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--model", "credit_risk_model:absent"], "there is no model credit_risk_model:absent"), ([], "can't be written")],
)
def test_what_can_not_be_exported_is_told_in_a_sentence(
    trained: str,  # noqa: ARG001 - the store must be filled
    tmp_path: Path,
    arguments: list[str],
    told: str,
) -> None:
    occupied = tmp_path / "credit_risk_model"
    occupied.touch()
    result = export(tmp_path, *arguments)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_mlserver_reads_boosters_with_the_xgboost_that_writes_them() -> None:
    assert locked("xgboost", "requirements-mlserver.txt") == locked("xgboost", "requirements.txt")
