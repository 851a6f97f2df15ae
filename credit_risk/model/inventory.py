"""All models in the store, released ones and candidates, and how one of them becomes the latest."""

from __future__ import annotations

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, MODEL_NAME, releases
from credit_risk.model.releases import Promotion, models_folder
from credit_risk.model.store import StoredModel, load_model


def find(version: str) -> StoredModel:
    """Load a released model or a candidate. Raises ModelError if there is none, or like `load_model`."""
    for name in (MODEL_NAME, CANDIDATE_NAME):
        if any(folder.name == version for folder in (models_folder() / name).glob("*/")):
            return load_model(f"{name}:{version}")
    raise ModelError(f"there is no model of version {version}; see `python -m credit_risk models list`")


def promote(version: str, *, by: str, why: str) -> Promotion:
    """Make a candidate or a released model the latest, and put on record who did and why.

    Raises ModelError if there is none of this version, or if it can't be loaded.
    """
    model = find(version)
    return releases.promote(models_folder(), model.version, by=by, why=why, faults=model.metadata.get("gate", []))


def stored_models() -> list[StoredModel | ModelError]:
    """Load all models, the oldest first; before them, what is wrong with those that can't be loaded."""
    models: list[StoredModel] = []
    faults: list[ModelError] = []
    for name in (MODEL_NAME, CANDIDATE_NAME):
        for folder in sorted(path for path in (models_folder() / name).glob("*") if path.is_dir()):
            try:
                models.append(load_model(f"{name}:{folder.name}"))
            except ModelError as error:
                faults.append(error)
    return [*faults, *sorted(models, key=lambda model: model.created)]
