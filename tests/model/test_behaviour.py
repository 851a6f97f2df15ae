"""What a lender may rely on in the trained model, whatever its figures."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path
from typing import Any, get_args

import bentoml
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from credit_risk.contract.application import CATEGORIES, CreditApplication, Marital
from credit_risk.contract.warning import warnings_of
from credit_risk.model.scorer import Margins
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset, load_dataset
from tests.model.test_features import APPLICATIONS


def margins(model: StoredModel, applications: list[CreditApplication]) -> Margins:
    encoder = model.encoder
    return model.scorer.margins(encoder.matrix([encoder.encode(application) for application in applications]))


def changed(application: CreditApplication, **changes: Any) -> CreditApplication:
    return CreditApplication.model_validate(application.model_dump() | changes)


WORSE_WHEN_MORE = {"debt": 10_000_000, "amount": 100_000, "expenses": 10_000}
WORSE_WHEN_LESS = ("income", "assets", "seniority")


@given(application=APPLICATIONS, data=st.data())
@pytest.mark.parametrize("field", [*WORSE_WHEN_MORE, *WORSE_WHEN_LESS])
def test_what_is_worse_never_lowers_the_probability_of_default(
    model: StoredModel, field: str, application: CreditApplication, data: st.DataObject
) -> None:
    value = getattr(application, field)
    if value is None:
        application, value = changed(application, **{field: 100.0}), 100.0
    low, high = (int(value), WORSE_WHEN_MORE[field]) if field in WORSE_WHEN_MORE else (0, int(value))
    number = st.integers(low, high) if isinstance(value, int) else st.integers(low, high).map(float)
    other = data.draw(number)
    worse = max(value, other) if field in WORSE_WHEN_MORE else min(value, other)
    before, after = margins(model, [application, changed(application, **{field: worse})])
    assert after >= before


def test_what_is_worse_raises_it_for_many(model: StoredModel, synthetic: Dataset) -> None:
    """The constraints above would hold for a constant as well."""
    applications = [a for a in synthetic.applications if None not in (a.income, a.assets, a.debt)]
    before = margins(model, applications)
    for changes in ({"income": 20.0}, {"seniority": 0}, {"records": "yes"}):
        after = margins(model, [changed(application, **changes) for application in applications])
        assert (after > before).mean() > 0.5, changes


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_order_and_company_change_nothing(model: StoredModel, synthetic: Dataset, size: int) -> None:
    applications = synthetic.applications[:2000]
    expected = margins(model, applications)
    order = np.random.default_rng(size).permutation(len(applications))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        assert np.array_equal(margins(model, [applications[row] for row in rows]), expected[rows])
        if start > 300 * size:
            break


@given(application=APPLICATIONS, age=st.integers(18, 100), marital=st.sampled_from(get_args(Marital)))
def test_age_and_marital_status_change_nothing(
    model: StoredModel, application: CreditApplication, age: int, marital: str
) -> None:
    before, after = margins(model, [application, changed(application, age=age, marital=marital)])
    assert before == after


def test_a_clean_file_is_safe_and_a_bad_one_is_not(model: StoredModel, synthetic: Dataset) -> None:
    safe: dict[str, Any] = {"seniority": 15, "home": "owner", "records": "no", "job": "fixed", "income": 300.0}
    unsafe: dict[str, Any] = {"seniority": 0, "home": "rent", "records": "yes", "job": "partime", "income": 50.0}
    clean = changed(synthetic.applications[0], **safe, assets=20_000.0, debt=0.0, amount=500)
    bad = changed(clean, **unsafe, assets=0.0, amount=2000)
    clean_margin, bad_margin = margins(model, [clean, bad])
    assert 1 / (1 + np.exp(-clean_margin)) < 0.1
    assert 1 / (1 + np.exp(-bad_margin)) > 0.7


def test_the_bundled_model_ranks_the_real_applicants(model: StoredModel, real_file: Path) -> None:
    real = load_dataset(real_file)
    margin = model.scorer.margins(model.encoder.encode_columns(real.columns))
    assert roc_auc_score(real.default, margin) >= 0.83


NOTHING: dict[str, Any] = {"income": None, "assets": None, "debt": None, "home": "unk", "job": "unk"}
WORST_NUMBERS: dict[str, Any] = {"income": 0.0, "assets": 0.0, "debt": 10_000_000.0}


def known_values(field: str) -> list[Any]:
    """Every word of a category, or the worst of a number, which all others are no worse than."""
    return [WORST_NUMBERS[field]] if field in WORST_NUMBERS else [w for w in CATEGORIES[field] if w != "unk"]


@given(application=APPLICATIONS)
@pytest.mark.parametrize("fields", [*combinations(NOTHING, 1), *combinations(NOTHING, 2)])
def test_nothing_is_gained_by_silence(
    model: StoredModel, fields: tuple[str, ...], application: CreditApplication
) -> None:
    """What is left empty scores no better than with any value, whatever else is said."""
    silent = changed(application, **{field: NOTHING[field] for field in fields})
    for values in product(*map(known_values, fields)):
        before, after = margins(model, [changed(silent, **dict(zip(fields, values, strict=True))), silent])
        assert after >= before


def test_silence_turns_no_refusal_into_an_approval(model: StoredModel, synthetic: Dataset, real_file: Path) -> None:
    for columns in (synthetic.columns, load_dataset(real_file).columns):
        rows = len(columns["amount"])
        before = model.scorer.margins(model.encoder.encode_columns(columns))
        for fields in (*combinations(NOTHING, 1), *combinations(NOTHING, 2)):
            empty = {f: np.full(rows, np.nan if f in WORST_NUMBERS else "unk", dtype=columns[f].dtype) for f in fields}
            after = model.scorer.margins(model.encoder.encode_columns({**columns, **empty}))
            assert (after >= before).all(), fields


def test_the_booster_itself_holds_it(model: StoredModel, synthetic: Dataset) -> None:
    """Whoever loads it without this project's scorer has it, too."""
    booster = bentoml.xgboost.load_model(model.tag)
    columns = synthetic.columns
    for field, worst in WORST_NUMBERS.items():
        unknown, known = (
            booster.inplace_predict(model.encoder.encode_columns({**columns, field: np.full(len(synthetic), value)}))
            for value in (np.nan, worst)
        )
        assert (unknown >= known).all()


@given(application=APPLICATIONS, time=st.integers(1, 120), times=st.integers(7, 1000))
def test_a_longer_term_buys_nothing_and_a_far_higher_price_does_not_go_unnoticed(
    model: StoredModel, application: CreditApplication, time: int, times: int
) -> None:
    shorter, longer = (changed(application, time=term) for term in sorted((time, application.time)))
    before, after = margins(model, [shorter, longer])
    assert after >= before
    price = min(application.amount * times, 1_000_000)
    warned = {warning.code for warning in warnings_of(changed(application, price=price))}
    assert warned & {"price_far_above_amount", "price_unusual"}
