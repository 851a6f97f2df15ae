"""Models in the store that differ from the trained one, under names of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from credit_risk.model.manifest import Manifest
from credit_risk.model.store import StoredModel


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


def seal(folder: Path) -> None:
    """Make what is in the folder now count as saved."""
    Manifest.of(folder).write(folder)
