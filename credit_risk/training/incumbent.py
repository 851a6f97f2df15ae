"""The model in the store that a new one has to stand beside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import xgboost as xgb
from sklearn.metrics import roc_auc_score

from credit_risk.contract.errors import ModelError
from credit_risk.model.features import Encoder
from credit_risk.model.store import latest_model
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import splits
from credit_risk.training.parallel import in_threads
from credit_risk.training.pipeline import Trained, vectorizer_of
from credit_risk.training.plan import Plan
from credit_risk.training.recipe import predict
from credit_risk.training.resampling import Interval, gain

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]  # from a title and the number of steps
NO_MATTER = ("nthread", "seed")  # parameters that do not make another recipe


@dataclass(frozen=True)
class Contest:
    """How a new model compares with the incumbent by AUC on the same folds, or why it can't be compared."""

    sentence: str
    tag: str | None = None  # of the incumbent
    gain: Interval | None = None  # of the new model over it

    @property
    def lost(self) -> bool:
        """Whether the new model is worse beyond chance."""
        return self.gain is not None and self.gain.high < 0


def contest(trained: Trained, metadata: dict[str, Any], dataset: Dataset, plan: Plan, progress: Progress) -> Contest:
    """Compare a new model, which has this metadata, with the latest in the store.

    If both were cross-validated on the same folds, their figures are compared as they are. Otherwise the incumbent's
    recipe is trained on the folds of the new model, because its booster has seen an unknown part of these rows.
    """
    try:
        incumbent = latest_model()
    except ModelError as error:
        return Contest(f"Not compared with the latest model: {error}")
    if incumbent is None:
        return Contest("The first model of this store: there is none to compare with")
    old = incumbent.metadata
    aucs = old["cross_validation"].get("aucs", [])
    how = "the same rows and folds"
    if not _same(old, metadata, "data_sha256", "seed", "folds", "repeats") or not aucs:
        try:
            encoder = _encoder_of(old, dataset)
            if _recipe(old) == _recipe(metadata):
                aucs, how = trained.cross_validation.aucs, "it has the same recipe, so the same figures on these folds"
            else:
                how = "its recipe, trained on these folds"
                with progress("Cross-validating the latest model's recipe", plan.trainings) as advance:
                    aucs = _retrained(old, encoder, dataset, plan, advance)
        except (ModelError, xgb.core.XGBoostError) as error:
            return Contest(f"Not compared with {incumbent.tag}: {error}", incumbent.tag)
    if old["data_sha256"] != metadata["data_sha256"]:
        how += f"; it was trained on other data ({old['data_source']}, sha256 {old['data_sha256'][:12]})"
    found = gain(trained.cross_validation.aucs, aucs, plan.folds)
    compared = f"AUC {found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f})"
    return Contest(f"Compared with {incumbent.tag}: {compared}; {how}", incumbent.tag, found)


def _same(old: dict[str, Any], new: dict[str, Any], *names: str) -> bool:
    return all(old.get(name) == new[name] for name in names)


def _recipe(metadata: dict[str, Any]) -> tuple[Any, ...]:
    parameters = {name: value for name, value in metadata["parameters"].items() if name not in NO_MATTER}
    return metadata["rounds"], metadata["protected"], parameters


def _encoder_of(metadata: dict[str, Any], dataset: Dataset) -> Encoder:
    """Encode as the recipe of a model does. Raises ModelError if this version makes other features."""
    encoder = Encoder.of(vectorizer_of(dataset, protected=metadata["protected"] == "include"))
    known, needed = ({name.partition("=")[0] for name in names} for names in (encoder.names, metadata["features"]))
    if known != needed:
        raise ModelError(f"another version made it, with other features ({', '.join(sorted(known ^ needed))})")
    return encoder


def _retrained(
    metadata: dict[str, Any], encoder: Encoder, dataset: Dataset, plan: Plan, advance: Callable[[], None]
) -> list[float]:
    """Cross-validate the recipe of a model, and give the AUC of each fold."""
    matrix = encoder.encode_columns(dataset.columns)
    old = replace(plan, parameters=metadata["parameters"], rounds=metadata["rounds"])

    def auc(fold: tuple[Any, Any]) -> float:
        fitted, held_out = fold
        booster = old.booster(matrix[fitted], dataset.default[fitted], encoder)
        advance()
        return float(roc_auc_score(dataset.default[held_out], predict(booster, matrix[held_out])))

    folds = splits(dataset.default, dataset.groups, plan.seed, plan.folds, plan.repeats)
    return in_threads(plan.threads, auc, folds)
