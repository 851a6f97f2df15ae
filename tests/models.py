"""Models in the store that differ from the trained one, under names of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xgboost as xgb
import yaml

from credit_risk.model.manifest import Manifest
from credit_risk.model.releases import point_to
from credit_risk.model.store import StoredModel, latest_model, load_model, sha256_of
from credit_risk.training.data import Dataset
from credit_risk.training.recipe import train_booster


@contextmanager
def editing(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of a YAML file, and write it back."""
    content = yaml.safe_load(file.read_text())
    yield content
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def folder_of(model: StoredModel) -> Path:
    return model.report.parent


def copy_model(model: StoredModel, name: str) -> Path:
    """Save a copy as NAME:copy, and give its folder."""
    folder = folder_of(model).parents[1] / name / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(folder_of(model), folder)
    with editing(folder / "model.yaml") as content:
        content |= {"name": name, "version": "copy"}
    seal(folder)
    return folder


def another_booster(model: StoredModel, dataset: Dataset, *, seed: int) -> xgb.Booster:
    """Train on the first rows of the data set, with the features of the model."""
    matrix = model.encoder.encode_columns(dataset.columns)[:2000]
    return train_booster(matrix, dataset.default[:2000], model.encoder, seed=seed)


def copy_with(booster: xgb.Booster, model: StoredModel, name: str) -> StoredModel:
    """Save a copy with another booster as NAME:copy, under which name `latest` stays what it is."""
    folder = copy_model(model, name)
    booster.save_model(folder / "saved_model.ubj")
    with editing(folder / "model.yaml") as content:
        content["metadata"] |= {"booster_sha256": sha256_of(booster), "data_sha256": "0" * 64}
    seal(folder)
    return load_model(f"{name}:copy")


@contextmanager
def another_is_latest(model: StoredModel) -> Iterator[str]:
    """Make a copy of a released model the latest of its name, and yield its tag."""
    before = folder_of(model)
    after = before.with_name("another")
    shutil.copytree(before, after)
    with editing(after / "model.yaml") as content:
        content["version"] = after.name
    seal(after)
    point_to(after)
    try:
        latest = latest_model()
        assert latest is not None
        assert latest.tag == f"{before.parent.name}:{after.name}"
        yield latest.tag
    finally:
        point_to(before)
        shutil.rmtree(after)


def seal(folder: Path) -> None:
    """Make what is in the folder now count as saved."""
    Manifest.of(folder).write(folder)
