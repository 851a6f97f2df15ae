"""The BentoML model store: save a trained model, and load one by its tag.

A saved model holds everything that a decision depends on: the booster, the order of its features, and metadata on how
it was made. Its manifest detects what was changed since. The DictVectorizer is saved too, for whoever loads the model
elsewhere. Serving reads the names of the features from the metadata instead, because loading a pickle would run any
code that somebody put into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
import yaml
from bentoml.exceptions import BentoMLException, NotFound

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, LATEST, MODEL_NAME
from credit_risk.model.explainer import Explainer
from credit_risk.model.features import PROTECTED_CATEGORICAL, PROTECTED_NUMERIC, Encoder
from credit_risk.model.manifest import MANIFEST_FILE, Manifest
from credit_risk.model.reference import References
from credit_risk.model.scorer import Scorer, probability_of
from credit_risk.model.table import table_of

if TYPE_CHECKING:
    import xgboost as xgb
    from sklearn.feature_extraction import DictVectorizer

REPORT = "report"
Report = Callable[[str, datetime], Mapping[str, str]]  # from a model's tag and date to its files by name


@dataclass(frozen=True)
class StoredModel:
    """A model in the store that was checked. Its booster is loaded when it is first used."""

    tag: str  # name:version
    created: datetime
    metadata: dict[str, Any]
    batchable: bool  # whether rows of several requests may be scored together
    report: Path  # folder of model-card.html and model-card.json
    digest: str  # of all its files

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.report.parent

    @cached_property
    def files(self) -> dict[Path, bytes]:
        """All its files, by their paths within the folder."""
        return {path.relative_to(self.folder): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    @property
    def sha256(self) -> str:
        """The hash of the booster's file."""
        return str(self.metadata["booster_sha256"])

    @property
    def data_source(self) -> str:
        """What the model was trained on: `synthetic` or `real`."""
        return str(self.metadata["data_source"])

    @property
    def version(self) -> str:
        return self.tag.rpartition(":")[2]

    @property
    def protected(self) -> list[str]:
        """The fields among its features that lending law restricts."""
        fields = {name.partition("=")[0] for name in self.metadata["features"]}
        return [field for field in (*PROTECTED_NUMERIC, *PROTECTED_CATEGORICAL) if field in fields]

    @property
    def lowest_probability(self) -> float:
        """The lowest probability of default that it gives anybody."""
        best = table_of(self.metadata["references"][0]["applicant"])
        return probability_of(float(self.scorer.margins(self.encoder.encode_columns(best))[0]))

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.metadata["features"])

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer(self._booster)

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer(self._booster, self.scorer, self.encoder, References.of(self.metadata["references"]))

    @cached_property
    def _booster(self) -> xgb.Booster:
        booster: xgb.Booster = bentoml.xgboost.load_model(bentoml.Model.from_path(self.folder))
        return booster


def save_model(
    booster: xgb.Booster,
    vectorizer: DictVectorizer,
    *,
    labels: dict[str, str],
    metadata: dict[str, Any],
    report: Report,
) -> StoredModel:
    """Save a model as a candidate, which `inventory.promote` makes the latest.

    `report` is called with the tag that the model has once it is released.

    Raises ModelError if the latest model or candidate can't be read, because BentoML reads it halfway through saving.
    """
    for latest in (LATEST, f"{CANDIDATE_NAME}:latest"):
        with suppress(NotFound):
            _find(latest)
    saved = bentoml.xgboost.save_model(
        CANDIDATE_NAME,
        booster,
        custom_objects={"DictVectorizer": vectorizer},
        signatures={"predict": {"batchable": True, "batch_dim": 0}},
        labels=labels,
        metadata=with_contents(metadata, booster, vectorizer),
    )
    folder = Path(bentoml.models.get(saved.tag).path)  # `saved` still points to a temporary folder
    (folder / REPORT).mkdir()
    for name, content in report(f"{MODEL_NAME}:{saved.tag.version}", saved.info.creation_time).items():
        (folder / REPORT / name).write_text(content, encoding="utf-8")
    Manifest.of(folder).write(folder)  # last, so that a model that was saved halfway has none
    return load_model(str(saved.tag))


def with_contents(metadata: dict[str, Any], booster: xgb.Booster, vectorizer: DictVectorizer) -> dict[str, Any]:
    """Add to the metadata of a model what scoring reads of it: the order of its features and its booster's hash."""
    return metadata | {"features": list(Encoder.of(vectorizer).names), "booster_sha256": sha256_of(booster)}


def latest_model() -> StoredModel | None:
    """Load the model that is latest. Raises ModelError like `load_model`, unless there is none."""
    with suppress(NotFound):
        _find(LATEST)
        return load_model(LATEST)
    return None


def sha256_of(booster: xgb.Booster) -> str:
    """Hash the booster as it is saved."""
    return hashlib.sha256(booster.save_raw("ubj")).hexdigest()


def load_model(tag: str) -> StoredModel:
    """Find a model by its tag, and check it.

    Raises ModelError if the model is missing, can't be read, is not what was saved, or was not saved by this project.
    """
    try:
        return check_model(_find(tag))
    except NotFound:
        raise ModelError(f"there is no model {tag} in the BentoML model store; train one with `make train`") from None


def _find(tag: str) -> bentoml.Model:
    """Find a model by its tag. Raises NotFound, or ModelError if it can't be read."""
    try:
        return bentoml.models.get(tag)
    except NotFound:
        raise
    except Exception as error:  # BentoML takes model.yaml for well-formed: if it is not, nearly anything is raised
        raise ModelError(
            f"model {tag} can't be read from the BentoML model store: {describe(error)}; "
            "restore it, or delete its folder in BENTOML_HOME/models and train one with `make train`"
        ) from None


def describe(error: Exception, file: str = "model.yaml") -> str:
    """Say in a line why BentoML can't read the folder that this file describes."""
    if isinstance(error, BentoMLException | OSError | ValueError | yaml.YAMLError):
        return " ".join(str(error).split())
    return f"its {file} is not as BentoML writes it"


def check_model(found: bentoml.Model) -> StoredModel:
    """Check a model that BentoML has read, in the store or elsewhere. Raises ModelError like `load_model`."""
    folder, metadata, signatures = Path(found.path), dict(found.info.metadata), found.info.signatures
    try:
        manifest = Manifest.read(folder)
    except FileNotFoundError:
        raise ModelError(
            f"model {found.tag} has no {MANIFEST_FILE}, so this version's train.py did not save it; "
            "train one with `make train`"
        ) from None
    except (OSError, ValueError):
        faults = [f"{MANIFEST_FILE} can't be read"]
    else:
        faults = manifest.faults_of(folder)
    if faults:
        raise ModelError(
            f"model {found.tag} is not what was saved: {', '.join(faults)}; restore it or train one with `make train`"
        )
    if not {"booster_sha256", "references"} <= set(metadata) or "predict" not in signatures:
        raise ModelError(f"model {found.tag} was not saved by this version's train.py; train one with `make train`")
    if signatures["predict"].batch_dim != (0, 0):
        raise ModelError(f"model {found.tag} was saved with another batch_dim than 0; train one with `make train`")
    batchable, created = signatures["predict"].batchable, found.info.creation_time
    return StoredModel(str(found.tag), created, metadata, batchable, folder / REPORT, manifest.digest)
