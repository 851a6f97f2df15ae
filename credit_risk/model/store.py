"""The BentoML model store: save a trained model, and load one by its tag. No other module knows the store.

A saved model holds everything that a decision depends on: the booster, the order of its features, and metadata on how
it was made. The DictVectorizer is saved too, for whoever loads the model elsewhere. Serving reads the names of the
features from the metadata instead, because loading a pickle would run any code that somebody put into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from credit_risk.contract.errors import ModelError
from credit_risk.model import MODEL_NAME
from credit_risk.model.explainer import Explainer
from credit_risk.model.features import Encoder
from credit_risk.model.scorer import Scorer

if TYPE_CHECKING:
    import xgboost as xgb
    from sklearn.feature_extraction import DictVectorizer

BOOSTER_FILE = "saved_model.ubj"
REPORT = "report"


@dataclass(frozen=True)
class StoredModel:
    """A model in the store that was checked. Its booster is loaded when it is first used."""

    tag: str  # name:version
    metadata: dict[str, Any]
    batchable: bool  # whether rows of several requests may be scored together
    report: Path  # folder of model-card.html and model-card.json

    @property
    def sha256(self) -> str:
        """The hash of the booster's file."""
        return str(self.metadata["booster_sha256"])

    @property
    def data_source(self) -> str:
        """What the model was trained on: `synthetic` or `real`."""
        return str(self.metadata["data_source"])

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.metadata["features"])

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer(self._booster)

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer(self._booster, self.scorer.table, self.encoder, self.metadata["reference_contributions"])

    @cached_property
    def _booster(self) -> xgb.Booster:
        booster: xgb.Booster = bentoml.xgboost.load_model(self.tag)
        return booster


def save_model(
    booster: xgb.Booster,
    vectorizer: DictVectorizer,
    *,
    labels: dict[str, str],
    metadata: dict[str, Any],
    report: Mapping[str, str],
) -> StoredModel:
    """Save a model as a new version of MODEL_NAME, with the files of its report by name."""
    saved = bentoml.xgboost.save_model(
        MODEL_NAME,
        booster,
        custom_objects={"DictVectorizer": vectorizer},
        signatures={"predict": {"batchable": True, "batch_dim": 0}},
        labels=labels,
        metadata=metadata | {"features": list(Encoder.of(vectorizer).names), "booster_sha256": sha256_of(booster)},
    )
    folder = Path(bentoml.models.get(saved.tag).path_of(REPORT))  # `saved` still points to a temporary folder
    folder.mkdir()
    for name, content in report.items():
        (folder / name).write_text(content, encoding="utf-8")
    return load_model(str(saved.tag))


def sha256_of(booster: xgb.Booster) -> str:
    """Hash the booster as it is saved."""
    return hashlib.sha256(booster.save_raw("ubj")).hexdigest()


def load_model(tag: str) -> StoredModel:
    """Find a model by its tag, and check it.

    Raises ModelError if the model is missing, was changed after it was saved, or was not saved by this project.
    """
    try:
        found = bentoml.models.get(tag)
    except NotFound:
        raise ModelError(f"there is no model {tag} in the BentoML model store; train one with `make train`") from None
    except (BentoMLException, ValueError) as error:
        raise ModelError(f"model {tag} can't be read from the BentoML model store: {error}") from None
    metadata, signatures = dict(found.info.metadata), found.info.signatures
    if not {"booster_sha256", "reference_contributions"} <= set(metadata) or "predict" not in signatures:
        raise ModelError(f"model {found.tag} was not saved by this version's train.py; train one with `make train`")
    if signatures["predict"].batch_dim != (0, 0):
        raise ModelError(f"model {found.tag} was saved with another batch_dim than 0; train one with `make train`")
    booster = Path(found.path_of(BOOSTER_FILE))
    is_whole = booster.is_file() and hashlib.sha256(booster.read_bytes()).hexdigest() == metadata["booster_sha256"]
    if not is_whole:
        raise ModelError(f"model {found.tag} was changed after it was saved; restore it or train one with `make train`")
    return StoredModel(str(found.tag), metadata, signatures["predict"].batchable, Path(found.path_of(REPORT)))
