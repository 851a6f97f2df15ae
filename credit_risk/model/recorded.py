"""A model that made decisions on record, loaded to make them again.

It need not be fit to decide anything new. An earlier version may have saved it, without a manifest, and with other
metadata to explain by: what such a model scored can be scored again, but not explained.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import bentoml
from bentoml.exceptions import NotFound

from credit_risk.contract.errors import ModelError
from credit_risk.model.manifest import MANIFEST_FILE, Manifest
from credit_risk.model.store import REPORT, StoredModel, describe

BOOSTER_FILE = "saved_model.ubj"


def find_recorded(tag: str) -> StoredModel | None:
    """Find a model in the model store. Raises ModelError if it can't be read or is not what was saved."""
    try:
        found = bentoml.models.get(tag)
    except NotFound:
        return None
    except Exception as error:
        raise ModelError(f"model {tag} can't be read from the BentoML model store: {describe(error)}") from None
    return _checked(found)


def load_recorded(folder: Path) -> StoredModel:
    """Load a model from its folder. Raises ModelError if it can't be read or is not what was saved."""
    try:
        found = bentoml.Model.from_path(folder)
    except Exception as error:
        raise ModelError(f"the model in {folder} can't be read: {describe(error)}; restore it") from None
    return _checked(found)


def explains(model: StoredModel) -> bool:
    """Tell whether this version finds the reasons of a model's decisions, as it was saved."""
    return "references" in model.metadata


def _checked(found: bentoml.Model) -> StoredModel:
    folder, metadata = Path(found.path), dict(found.info.metadata)
    try:
        if (folder / MANIFEST_FILE).exists():
            manifest = Manifest.read(folder)
            digest, faults = manifest.digest, manifest.faults_of(folder)
        else:
            digest = sha256((folder / BOOSTER_FILE).read_bytes()).hexdigest()  # all that can be checked
            faults = [] if digest == metadata.get("booster_sha256") else [f"{BOOSTER_FILE} was changed"]
    except (OSError, ValueError) as error:
        raise ModelError(f"model {found.tag} in {folder} can't be read: {describe(error)}; restore it") from None
    if not {"features", "booster_sha256"} <= set(metadata):
        raise ModelError(f"model {found.tag} in {folder} was not saved by train.py, so it can't have decided")
    if faults:
        raise ModelError(f"model {found.tag} in {folder} is not what was saved: {', '.join(faults)}; restore it")
    created = found.info.creation_time
    return StoredModel(str(found.tag), created, metadata, batchable=True, report=folder / REPORT, digest=digest)
