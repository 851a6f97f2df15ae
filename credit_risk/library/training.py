"""Train a model in Python."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from credit_risk.contract.policy import load_policy
from credit_risk.library.model import Model, UnsavedModel
from credit_risk.library.tables import arrow_of
from credit_risk.serving.settings import load_settings
from credit_risk.training import pipeline, release
from credit_risk.training.data import DataSource, load_dataset, read_dataset
from credit_risk.training.evaluation import FOLDS, REPEATS
from credit_risk.training.layout import Layout
from credit_risk.training.parameters import Parameters
from credit_risk.training.plan import Plan


def train(
    data: Any,
    *,
    params: Mapping[str, Any] | str | PathLike[str] | None = None,
    protected: bool = False,
    seed: int = 1,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    threads: int | None = None,
    source: DataSource | None = None,
    separator: str = "comma",
    default_is: str | None = None,
    save: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Model:
    """Train a model on labelled applications, as train.py does with the options of the same names.

    >>> model = train("data/applications.csv", params={"max_depth": 3})
    >>> model.metadata["cross_validation"]["mean"]["auc"]

    `data` is the path of a CSV file, or a list of dictionaries, a DataFrame or an Arrow table with the columns of
    data/README.md. `params` are parameters of XGBoost, or the path of a file of them. The model is in memory, unless
    `save` puts it into the BentoML model store, where it has to pass the release gate to become the latest.
    `advance` is called after each fold.

    Raises DataError that names the fix, or ReleaseError. In a table, lines are counted as if it were a CSV file.
    """
    if isinstance(data, str | PathLike):
        dataset = load_dataset(Path(data), source, Layout(separator, default_is))
    else:
        dataset = read_dataset(_csv_of(arrow_of(data)), "the table", source, Layout(default_is=default_is))
    given = Parameters.read(Path(params)) if isinstance(params, str | PathLike) else Parameters.of(params or {})
    plan = Plan.of(given, protected=protected, seed=seed, folds=folds, repeats=repeats, threads=threads)
    trained = pipeline.train(dataset, plan, advance)
    if not save:
        return Model(UnsavedModel.of(trained, dataset, plan))
    policy = load_policy(load_settings().policy)
    judgement = release.judge(trained, dataset, plan, policy)
    candidate = release.save(trained, dataset, judgement, policy)
    return Model(release.release(candidate, judgement, by="credit_risk.train"))


def _csv_of(table: pa.Table) -> bytes:
    """Write a table as a CSV file, so that there is one way to read rows and to refuse them."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    for name, column in columns.items():
        columns[name] = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    content = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns), content)
    return content.getvalue()
