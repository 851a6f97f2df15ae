"""From applications to the float32 rows that the model reads: one row in microseconds, or a whole table by columns.

The features are the applicant's own figures, two ratios of them (both from the data's own repository,
Part1_CredScoring_Processing.R) and one column for each category seen in training, in the order of a DictVectorizer. A
missing value is NaN, which XGBoost sends its own way at each split.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import CATEGORIES, FIELDS, CreditApplication

if TYPE_CHECKING:
    from sklearn.feature_extraction import DictVectorizer

Columns = Mapping[str, NDArray[Any]]  # one array a field: float64 with NaN for missing, or words
Matrix = NDArray[np.float32]

NUMERIC = ("seniority", "time", "expenses", "income", "assets", "debt", "amount", "price")
RATIOS = ("financing_ratio", "repay_capacity")
CATEGORICAL = ("home", "records", "job")
PROTECTED_NUMERIC = ("age",)
PROTECTED_CATEGORICAL = ("marital",)

# +1: more of it never lowers the probability of default; -1: more of it never raises it. What is absent, such as price,
# is not constrained.
MONOTONE = {
    "seniority": -1,
    "income": -1,
    "assets": -1,
    "repay_capacity": -1,
    "records=no": -1,
    "age": -1,
    "debt": 1,
    "amount": 1,
    "expenses": 1,
    "time": 1,
    "financing_ratio": 1,
    "records=yes": 1,
}


def columns_of(applications: Sequence[CreditApplication]) -> Columns:
    """Turn applications into a table: each field an array of n, float64 with NaN for missing, or words."""
    values = [application.__dict__ for application in applications]
    return {
        field: np.array([row[field] for row in values], dtype=object if field in CATEGORIES else np.float64)
        for field in FIELDS
    }


def features_of(application: CreditApplication, *, protected: bool) -> dict[str, float | str]:
    """Describe one application as the dictionary that a DictVectorizer fits on and transforms."""
    values = application.__dict__
    numeric = NUMERIC + PROTECTED_NUMERIC if protected else NUMERIC
    categorical = CATEGORICAL + PROTECTED_CATEGORICAL if protected else CATEGORICAL
    features: dict[str, float | str] = {
        name: math.nan if values[name] is None else float(values[name]) for name in numeric
    }
    features["financing_ratio"] = application.amount / application.price
    features["repay_capacity"] = _repay_capacity(application)
    features.update({name: values[name] for name in categorical})
    return features


def _repay_capacity(application: CreditApplication) -> float:
    """How many monthly instalments the free income pays, at least 0: below, a larger amount would look better."""
    if application.income is None or application.debt is None:
        return math.nan
    free = application.income - application.expenses - application.debt / 100
    return max(0.0, free) / (application.amount / application.time)


class Encoder:
    """Encodes applications in the column order of a fitted DictVectorizer, in 2 microseconds each instead of 30.

    >>> encoder = Encoder(vectorizer.get_feature_names_out())
    >>> row = encoder.encode(application)            # bytes of one float32 row
    >>> matrix = encoder.matrix([row, ...])          # (n, len(encoder.names))
    >>> matrix = encoder.encode_columns(columns)     # the same from a table
    """

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: the feature names in column order, `field` or `field=category`."""
        self.names = tuple(names)
        self._pack = struct.Struct(f"{len(self.names)}f").pack
        column = {name: index for index, name in enumerate(self.names)}
        self._numeric = [(name, column[name]) for name in NUMERIC + PROTECTED_NUMERIC if name in column]
        self._financing_ratio, self._repay_capacity = (column[name] for name in RATIOS)
        self._categories: dict[str, dict[str, int]] = {}
        for name, index in column.items():
            field, is_category, category = name.partition("=")
            if is_category:
                self._categories.setdefault(field, {})[category] = index
        self._categorical = list(self._categories.items())
        self._blank = [0.0] * len(self.names)

    @classmethod
    def of(cls, vectorizer: DictVectorizer) -> Encoder:
        return cls([str(name) for name in vectorizer.get_feature_names_out()])

    @property
    def monotone_constraints(self) -> tuple[int, ...]:
        """The constraint of each column, as XGBoost takes it."""
        return tuple(MONOTONE.get(name, 0) for name in self.names)

    def encode(self, application: CreditApplication) -> bytes:
        """Encode one application as the bytes of a float32 row."""
        values = application.__dict__
        row = self._blank.copy()
        for name, index in self._numeric:
            value = values[name]
            row[index] = math.nan if value is None else value
        row[self._financing_ratio] = application.amount / application.price
        row[self._repay_capacity] = _repay_capacity(application)
        for field, categories in self._categorical:
            seen = categories.get(values[field])
            if seen is not None:
                row[seen] = 1.0
        return self._pack(*row)

    def matrix(self, rows: Sequence[bytes]) -> Matrix:
        """Join encoded rows into one matrix, (number of rows, number of features)."""
        return np.frombuffer(b"".join(rows), dtype=np.float32).reshape(len(rows), len(self.names))

    def encode_columns(self, columns: Columns) -> Matrix:
        """Encode a table of n applications, as `columns_of` gives it, into a matrix (n, features)."""
        rows = len(columns["amount"])
        matrix = np.zeros((rows, len(self.names)), dtype=np.float32)
        for name, index in self._numeric:
            matrix[:, index] = columns[name]
        amount, time = columns["amount"], columns["time"]
        free = columns["income"] - columns["expenses"] - columns["debt"] / 100
        matrix[:, self._financing_ratio] = amount / columns["price"]
        matrix[:, self._repay_capacity] = np.maximum(0.0, free) / (amount / time)
        for field, categories in self._categorical:
            for category, index in categories.items():
                matrix[:, index] = columns[field] == category
        return matrix
