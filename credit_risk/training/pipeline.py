"""Training from beginning to end: cross-validate, train, test, and describe the model."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer

from credit_risk.contract.application import CATEGORIES
from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.reference import Reference
from credit_risk.model.table import Columns
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import CrossValidation, Performance, Rows, holdout_split, splits
from credit_risk.training.figures import Sample
from credit_risk.training.plan import Plan
from credit_risk.training.recipe import (
    fit_vectorizer,
    predict,
    train_tutorial_booster,
    tutorial_matrix,
)
from credit_risk.training.references import references_of


@dataclass(frozen=True)
class Trained:
    """A trained model and how good it is."""

    booster: xgb.Booster
    vectorizer: DictVectorizer
    cross_validation: CrossValidation  # of the recipe, on all rows
    tutorial: CrossValidation  # of the tutorial's model, on the same folds
    test: Performance  # of this booster, on rows that it never saw
    references: list[Reference]  # whom applicants are compared with
    held_out: Sample  # the rows that it never saw
    out_of_fold: Sample  # all rows, each scored by a model of the first repeat that never saw it
    contributions: dict[str, NDArray[np.float32]]  # to the margins of the held-out rows, by field


def train(dataset: Dataset, plan: Plan, advance: Callable[[], None]) -> Trained:
    """Cross-validate the recipe beside the tutorial's, then train on four fifths of the rows and test on the rest.

    `advance` is called after each of the plan's trainings.
    """
    vectorizer = vectorizer_of(dataset, protected=plan.protected)
    encoder = Encoder.of(vectorizer)
    matrix, outcomes, groups = encoder.encode_columns(dataset.columns), dataset.default, dataset.groups
    all_13_fields = tutorial_matrix(dataset.columns)

    def booster_of(rows: Rows) -> xgb.Booster:
        return plan.booster(matrix[rows], outcomes[rows], encoder)

    def fold(rows: tuple[Rows, Rows]) -> tuple[Any, Any]:
        fitted, held_out = rows
        ours = booster_of(fitted)
        tutorials = train_tutorial_booster(all_13_fields[fitted], outcomes[fitted])
        advance()
        return (held_out, predict(ours, matrix[held_out])), (held_out, predict(tutorials, all_13_fields[held_out]))

    fitted, held_out = holdout_split(outcomes, groups, plan.seed)
    with ThreadPoolExecutor(plan.threads) as threads:
        saved = threads.submit(booster_of, fitted)
        folds = threads.map(fold, splits(outcomes, groups, plan.seed, plan.folds, plan.repeats))
        ours, tutorials = zip(*folds, strict=True)
        booster = saved.result()
    repeats = range(0, plan.trainings, plan.folds)
    return Trained(
        booster,
        vectorizer,
        CrossValidation.of(outcomes, [list(ours[start : start + plan.folds]) for start in repeats]),
        CrossValidation.of(outcomes, [list(tutorials[start : start + plan.folds]) for start in repeats]),
        Performance.of(outcomes[held_out], predict(booster, matrix[held_out])),
        references_of(
            {field: values[fitted] for field, values in dataset.columns.items()},
            lambda columns: predict(booster, encoder.encode_columns(columns)),
            protected=plan.protected,
        ),
        Sample(dataset.applications.take(held_out), outcomes[held_out], predict(booster, matrix[held_out])),
        Sample(dataset.applications, outcomes, out_of_fold(ours[: plan.folds])),
        contributions_by_field(booster, encoder, matrix[held_out]),
    )


def vectorizer_of(dataset: Dataset, *, protected: bool) -> DictVectorizer:
    """Fit the columns of a model of these applications."""
    return fit_vectorizer(dataset.applications.take(_each_category(dataset.columns)), protected=protected)


def _each_category(columns: Columns) -> Rows:
    """Find rows that together hold every category that occurs, which is all that a vectorizer learns."""
    firsts = [np.unique(columns[field], return_index=True)[1] for field in CATEGORIES]
    return np.unique(np.concatenate(firsts))


def out_of_fold(folds: Sequence[tuple[Rows, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Put the predictions of one repeat's folds into the order of the rows."""
    rows, predictions = (np.concatenate(parts) for parts in zip(*folds, strict=True))
    return predictions[np.argsort(rows)]


def contributions_by_field(booster: xgb.Booster, encoder: Encoder, matrix: Matrix) -> dict[str, NDArray[np.float32]]:
    """Add up the contributions to the margins of a matrix (n, features) by field, as (n,) each."""
    found: dict[str, NDArray[np.float32]] = {}
    by_column = booster.predict(xgb.DMatrix(matrix), pred_contribs=True)[:, :-1].T  # without the base
    for name, column in zip(encoder.names, by_column, strict=True):
        field = name.partition("=")[0]
        found[field] = found.get(field, np.zeros(len(matrix), dtype=np.float32)) + column
    return found


def metadata_of(trained: Trained, dataset: Dataset, plan: Plan) -> dict[str, Any]:
    """Describe where a model comes from and how good it is, for the model store."""
    versions = ("bentoml", "numpy", "scikit-learn", "xgboost")
    return {
        "data_source": dataset.source,
        "data_sha256": dataset.sha256,
        "rows": len(dataset),
        "default_rate": float(dataset.default.mean()),
        "protected": "include" if plan.protected else "exclude",
        "seed": plan.seed,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "rounds": plan.rounds,
        "parameters": dict(plan.parameters),
        "cross_validation": asdict(trained.cross_validation),
        "tutorial_cross_validation": asdict(trained.tutorial),
        "test": asdict(trained.test),
        "references": [reference._asdict() for reference in trained.references],
        "versions": {name: importlib.metadata.version(name) for name in versions},
    }
