"""Applications as other programs send them: rows of a DictVectorizer, and tables as pandas writes them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import bentoml
from sklearn.feature_extraction import DictVectorizer

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.model.features import features_of
from credit_risk.model.store import StoredModel


def vectorizer_of(model: StoredModel) -> DictVectorizer:
    """Take the vectorizer from the model store, as the tutorial does."""
    found: DictVectorizer = bentoml.xgboost.get(model.tag).custom_objects["DictVectorizer"]
    return found


def rows_of(
    vectorizer: DictVectorizer, applications: Sequence[CreditApplication], *, protected: bool = False
) -> list[list[float | None]]:
    """Give what a vectorizer gives, with null for NaN."""
    matrix = vectorizer.transform([features_of(application, protected=protected) for application in applications])
    return [[None if math.isnan(cell) else cell for cell in row] for row in matrix.tolist()]


def records(applications: Sequence[CreditApplication]) -> bytes:
    """Write what `df.to_json(orient="records")` does."""
    return json.dumps([application.model_dump() for application in applications], separators=(",", ":")).encode()


def split(applications: Sequence[CreditApplication], columns: Sequence[str] = FIELDS) -> bytes:
    """Write what `df.to_json(orient="split")` does."""
    table: dict[str, Any] = {"columns": list(columns), "index": list(range(len(applications)))}
    table["data"] = [[getattr(application, column) for column in columns] for application in applications]
    return json.dumps(table, separators=(",", ":")).encode()


def as_csv(applications: Sequence[CreditApplication], columns: Sequence[str] = FIELDS) -> bytes:
    """Write what `df.to_csv(index=False)` does."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(application, column) for column in columns] for application in applications)
    return text.getvalue().encode()
