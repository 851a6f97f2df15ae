"""Which released model is `latest`, and the record of how each became it.

A model is saved as a candidate, under a name of its own, and promoting it moves it to the released ones. BentoML keeps
the version that is `latest` in a file beside them.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, MODEL_NAME
from credit_risk.model.manifest import Manifest

RECORD = f"{MODEL_NAME}.promotions.jsonl"  # beside the folder of the models, which BentoML deletes with the last one


class Promotion(BaseModel):
    """One change of what is `latest`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    at: AwareDatetime
    by: str
    why: str
    before: str | None = Field(alias="from")  # version; None for the first model
    to: str
    faults: list[str]  # what the release gate had against it


def current_user() -> str:
    """Name whoever runs this process, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return f"user {os.getuid()}"


def models_folder() -> Path:
    """Tell where BentoML keeps its models."""
    home = os.environ.get("BENTOML_HOME")
    return (Path(home) if home else Path.home() / "bentoml") / "models"


def record_of(models: Path) -> list[Promotion]:
    """Read the record in the folder of all models, the oldest first. Raises ModelError if a line is no promotion."""
    path, found = models / RECORD, []
    if path.exists():
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                found.append(Promotion.model_validate_json(line))
            except ValidationError:
                raise ModelError(f"line {number} of {path} is no promotion; restore the file from a backup") from None
    return found


def latest_version(models: Path) -> str | None:
    """Give the version that is `latest`, or None."""
    with suppress(FileNotFoundError):
        return (models / MODEL_NAME / "latest").read_text().strip() or None
    return None


def promote(models: Path, version: str, *, by: str, why: str, faults: list[str]) -> Promotion:
    """Make a released model or a candidate the latest.

    The order is such that what is latest is always whole and always on record, wherever this ends: first the line of
    the record, then the candidate's files, at once, and last the file that names the latest, at once.
    """
    with _locked(models / RECORD) as record:
        before = latest_version(models)
        promotion = Promotion(at=datetime.now(UTC), by=by, why=why, before=before, to=version, faults=faults)
        record.write(promotion.model_dump_json(by_alias=True) + "\n")
        record.flush()
        os.fsync(record.fileno())
        candidate, released = models / CANDIDATE_NAME / version, models / MODEL_NAME / version
        if not released.exists():
            _release(candidate, released)
        point_to(released)
        _remove(candidate)
    return promotion


def point_to(item: Path) -> None:
    """Make the model or the bento in this folder the latest of its name, at once."""
    partial = item.with_name(".latest.partial")
    partial.write_text(item.name)
    partial.replace(item.with_name("latest"))


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Append to a file that no other process appends to meanwhile."""
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _release(candidate: Path, released: Path) -> None:
    """Copy a candidate, which was checked, under the name of the released models."""
    partial = candidate / ".released"  # in the same file system, where BentoML does not look for models
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(candidate, partial)
    description = partial / "model.yaml"
    text = description.read_text(encoding="utf-8")
    description.write_text(re.sub(rf"^name: {CANDIDATE_NAME}$", f"name: {MODEL_NAME}", text, flags=re.M), "utf-8")
    Manifest.of(partial).write(partial)
    released.parent.mkdir(exist_ok=True)
    partial.rename(released)


def _remove(candidate: Path) -> None:
    shutil.rmtree(candidate, ignore_errors=True)
    if candidate.parent.exists() and not any(path.is_dir() for path in candidate.parent.iterdir()):
        shutil.rmtree(candidate.parent)  # with BentoML's `latest` of the candidates
