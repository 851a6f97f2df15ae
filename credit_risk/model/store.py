"""The BentoML model store: save a trained model, find one by tag, load it. The only module that knows the store.

A saved model holds all that a decision depends on: the booster, the order of its features, and metadata on how it came
about. The DictVectorizer goes with it for whoever loads the model elsewhere; serving reads the names of the features
from the metadata instead, as a pickle would run whatever code somebody put into it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from credit_risk.contract.errors import ModelError
from credit_risk.model.features import Encoder
from credit_risk.model.reasons import Explainer
from credit_risk.model.scorer import Scorer

if TYPE_CHECKING:
    import xgboost as xgb
    from sklearn.feature_extraction import DictVectorizer

MODEL_NAME = "credit_risk_model"
BOOSTER_FILE = "saved_model.ubj"
REPORT = "report"


@dataclass(frozen=True)
class StoredModel:
    """A model out of the store, ready to score."""

    tag: str  # name:version
    scorer: Scorer
    explainer: Explainer
    metadata: dict[str, Any]
    batchable: bool  # whether rows of several requests may be scored together

    @property
    def sha256(self) -> str:
        """Of the booster's file."""
        return str(self.metadata["booster_sha256"])


def save_model(
    booster: xgb.Booster,
    vectorizer: DictVectorizer,
    *,
    labels: dict[str, str],
    metadata: dict[str, Any],
    report: Mapping[str, str],
) -> str:
    """Put a model into the store under a new version of MODEL_NAME, with the files of its report; answers its tag."""
    saved = bentoml.xgboost.save_model(
        MODEL_NAME,
        booster,
        custom_objects={"DictVectorizer": vectorizer},
        signatures={"predict": {"batchable": True, "batch_dim": 0}},
        labels=labels,
        metadata=metadata | {"features": list(Encoder.of(vectorizer).names), "booster_sha256": sha256_of(booster)},
    )
    folder = Path(bentoml.models.get(saved.tag).path_of(REPORT))  # what `saved` was made in is gone by now
    folder.mkdir()
    for name, content in report.items():
        (folder / name).write_text(content, encoding="utf-8")
    return str(saved.tag)


def sha256_of(booster: xgb.Booster) -> str:
    """Of the booster as it is saved."""
    return hashlib.sha256(booster.save_raw("ubj")).hexdigest()


def report_of(tag: str) -> Path:
    """The folder of a model's report: model-card.html and model-card.json."""
    return Path(_checked(tag).path_of(REPORT))


def check_model(tag: str) -> str:
    """The full tag, name:version, that a tag stands for now: `latest` moves whenever a model is saved.

    Raises ModelError where the model is missing, was changed after it was saved, or was not saved by this project.
    """
    return str(_checked(tag).tag)


def data_source_of(tag: str) -> str:
    """`synthetic` or `real`: what a model was trained on."""
    return str(_checked(tag).info.metadata["data_source"])


def load_model(tag: str) -> StoredModel:
    """Load a model by tag, checked as by `check_model`."""
    found = _checked(tag)
    metadata: dict[str, Any] = dict(found.info.metadata)
    booster, encoder = _load_booster(found), Encoder(metadata["features"])
    scorer = Scorer(booster, encoder)
    explainer = Explainer(booster, scorer.table, encoder, metadata["reference_contributions"])
    return StoredModel(str(found.tag), scorer, explainer, metadata, found.info.signatures["predict"].batchable)


def _load_booster(found: bentoml.Model) -> xgb.Booster:
    with _no_scikit_learn():
        booster: xgb.Booster = bentoml.xgboost.load_model(found)
    return booster


@contextmanager
def _no_scikit_learn() -> Iterator[None]:
    """XGBoost imports scikit-learn where it finds it, for classes not used here: 60 MB and half a second a worker."""
    unknown = "sklearn" not in sys.modules
    if unknown:
        sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if unknown:
            del sys.modules["sklearn"]


def _checked(tag: str) -> bentoml.Model:
    try:
        found = bentoml.models.get(tag)
    except NotFound:
        raise ModelError(f"there is no model {tag} in the BentoML model store; train one with `make train`") from None
    except (BentoMLException, ValueError) as error:
        raise ModelError(f"model {tag} can't be read from the BentoML model store: {error}") from None
    metadata, signatures = found.info.metadata, found.info.signatures
    if not {"booster_sha256", "reference_contributions"} <= set(metadata) or "predict" not in signatures:
        raise ModelError(f"model {found.tag} was not saved by this version's train.py; train one with `make train`")
    if signatures["predict"].batch_dim != (0, 0):
        raise ModelError(f"model {found.tag} was saved with another batch_dim than 0, along which its rows lie")
    booster = Path(found.path_of(BOOSTER_FILE))
    if (
        not booster.is_file()
        or hashlib.sha256(booster.read_bytes()).hexdigest() != found.info.metadata["booster_sha256"]
    ):
        raise ModelError(f"model {found.tag} was changed after it was saved; restore it or train one with `make train`")
    return found
