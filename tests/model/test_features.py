from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import DictVectorizer

from credit_risk.contract.application import (
    CATEGORIES,
    CreditApplication,
    Home,
    Job,
    Marital,
    Records,
    ScoredApplication,
)
from credit_risk.model.features import MONOTONE, Encoder, features_of
from credit_risk.model.table import columns_of
from credit_risk.training.recipe import fit_vectorizer
from tests.corpus import SAMPLE


def amounts(high: int) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(0, high, allow_nan=False) | st.integers(0, high).map(float)


APPLICATIONS = st.builds(
    CreditApplication,
    seniority=st.integers(0, 60),
    home=st.sampled_from(get_args(Home)),
    time=st.integers(1, 120),
    age=st.integers(18, 100),
    marital=st.sampled_from(get_args(Marital)),
    records=st.sampled_from(get_args(Records)),
    job=st.sampled_from(get_args(Job)),
    expenses=st.integers(0, 10_000),
    income=amounts(100_000),
    assets=amounts(10_000_000),
    debt=amounts(10_000_000),
    amount=st.integers(1, 100_000),
    price=st.integers(1, 1_000_000),
)


@given(
    training=st.lists(APPLICATIONS, min_size=1, max_size=5),
    applications=st.lists(APPLICATIONS, min_size=1, max_size=8),
    protected=st.booleans(),
)
def test_all_ways_in_give_the_rows_of_the_dict_vectorizer(
    training: list[CreditApplication], applications: list[CreditApplication], protected: bool
) -> None:
    """Few training rows, so that many of the categories were not seen in training."""
    vectorizer = fit_vectorizer(training, protected=protected)
    encoder = Encoder.of(vectorizer)
    expected = vectorizer.transform([features_of(application, protected=protected) for application in applications])
    one_by_one = encoder.matrix([encoder.encode(application) for application in applications])
    by_columns = encoder.encode_columns(columns_of(applications))
    assert one_by_one.dtype == by_columns.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(one_by_one, expected)
    np.testing.assert_array_equal(by_columns, expected)


@given(application=APPLICATIONS)
def test_an_age_and_a_marital_status_that_are_not_on_record_are_unknown(application: CreditApplication) -> None:
    """For a what-if with a model that uses them."""
    vectorizer = fit_vectorizer([application.model_copy(update={"marital": "single"})], protected=True)
    encoder = Encoder.of(vectorizer)
    unknown = ScoredApplication(**application.model_dump() | {"age": None, "marital": None})
    cells = dict(zip(encoder.names, encoder.matrix([encoder.encode(unknown)])[0], strict=True))
    assert math.isnan(cells["age"])
    assert math.isnan(cells["marital=single"])
    np.testing.assert_array_equal(vectorizer.transform([features_of(unknown, protected=True)]), [[*cells.values()]])


def encoded(**changes: Any) -> dict[str, float]:
    application = CreditApplication(**{**SAMPLE, **changes})
    encoder = Encoder.of(fit_vectorizer([application], protected=True))
    return dict(zip(encoder.names, encoder.matrix([encoder.encode(application)])[0].tolist(), strict=True))


def test_missing_is_nan_and_makes_the_ratio_missing() -> None:
    row = encoded(income=None)
    assert np.isnan(row["income"])
    assert np.isnan(row["free_income_ratio"])
    assert np.isnan(encoded(debt=None)["free_income_ratio"])


@pytest.mark.parametrize("field", ["home", "job", "marital"])
def test_an_unknown_category_is_nan_in_each_of_its_columns(field: str) -> None:
    row = encoded(**{field: "unk"})
    columns = {name for name, value in row.items() if np.isnan(value)}
    assert columns == {f"{field}={word}" for word in CATEGORIES[field] if word != "unk"}


def test_the_ratios() -> None:
    row = encoded(income=200.0, expenses=50, debt=5000.0, amount=1200, price=1600)
    assert row["financing_ratio"] == 0.75
    assert row["free_income_ratio"] == np.float32(100 / 1200)
    assert encoded(income=10.0, expenses=50)["free_income_ratio"] == 0.0


@pytest.mark.parametrize("protected", [False, True])
def test_age_and_marital_status_are_features_only_where_asked_for(protected: bool) -> None:
    encoder = Encoder.of(fit_vectorizer([CreditApplication(**SAMPLE)], protected=protected))
    assert ("age" in encoder.names) is protected
    assert ("marital=single" in encoder.names) is protected


def test_every_feature_has_a_direction() -> None:
    """An application of unknown categories makes a column of each category."""
    unknown = dict.fromkeys(("home", "job", "marital"), "unk")
    both = [CreditApplication(**{**SAMPLE, **unknown, "records": records}) for records in get_args(Records)]
    encoder = Encoder.of(fit_vectorizer(both, protected=True))
    constraints = dict(zip(encoder.names, encoder.monotone_constraints, strict=True))
    assert constraints == MONOTONE
    assert set(constraints.values()) == {-1, 1}


def test_the_vectorizer_is_dense_float32() -> None:
    vectorizer: DictVectorizer = fit_vectorizer([CreditApplication(**SAMPLE)], protected=False)
    assert vectorizer.sparse is False
    assert vectorizer.dtype is np.float32


@given(applications=st.lists(APPLICATIONS, min_size=1, max_size=8))
def test_models_on_record_are_encoded_as_they_were(applications: list[CreditApplication]) -> None:
    """Before there was a free income ratio, the term was part of the ratio, and `unk` a word like others."""
    encoder = Encoder(["financing_ratio", "home=owner", "home=unk", "job=fixed", "price", "repay_capacity"])
    expected = [
        (
            application.amount / application.price,
            application.home == "owner",
            application.home == "unk",
            application.job == "fixed",
            application.price,
            math.nan
            if None in (application.income, application.debt)
            else max(0.0, (application.income or 0) - application.expenses - (application.debt or 0) / 100)
            / (application.amount / application.time),
        )
        for application in applications
    ]
    rows = encoder.matrix([encoder.encode(application) for application in applications])
    np.testing.assert_array_equal(rows, np.array(expected, dtype=np.float32))
    np.testing.assert_array_equal(encoder.encode_columns(columns_of(applications)), rows)
