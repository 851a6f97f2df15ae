"""Reasons are true: against the definition on the applicant's own fields, and by changing these fields."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import MAX_REASONS, load_catalogue
from credit_risk.model.comparison import subjects_of
from credit_risk.model.explainer import FIELDS_BEHIND, Explainer
from credit_risk.model.features import MONOTONE, Encoder, Matrix
from credit_risk.model.free_income import FreeIncomeShares
from credit_risk.model.reference import References
from credit_risk.model.scorer import Scorer, probability_of
from credit_risk.model.store import StoredModel
from credit_risk.model.table import Columns, columns_of, table_of
from credit_risk.training.data import Dataset, load_dataset
from credit_risk.training.recipe import fit_vectorizer, predict, train_booster
from credit_risk.training.references import references_of
from tests.conftest import PROJECT
from tests.model.test_contributions import shapley_values
from tests.model.test_features import APPLICATIONS

CUTOFFS = (0.3, 0.167, 0.1, 0.08)
FIELDS = ("seniority", "assets", "income", "records", "job", "debt", "home", "time", "expenses", "amount", "price")
WORSE = {"price": -1, **{field: MONOTONE[field] for field in FIELDS if field in MONOTONE}}


class Explained:
    """A model with what it takes to explain it."""

    def __init__(self, encoder: Encoder, scorer: Scorer, explainer: Explainer, references: References) -> None:
        self.encoder = encoder
        self.scorer = scorer
        self.explainer = explainer
        self.references = references

    def margins(self, columns: Columns) -> NDArray[np.float32]:
        return self.scorer.margins(self.encoder.encode_columns(columns))

    def reference(self, cutoff: float) -> Columns:
        return table_of(self.references[self.references.place_for(cutoff)].applicant)


def explained(model: StoredModel) -> Explained:
    references = References.of(model.metadata["references"])
    return Explained(model.encoder, model.scorer, model.explainer, references)


def explained_depth(
    depth: int, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, *, protected: bool = False
) -> Explained:
    monkeypatch.setitem(train_booster.__globals__["PARAMETERS"], "max_depth", depth)
    encoder = Encoder.of(fit_vectorizer(dataset.applications, protected=protected))
    matrix = encoder.encode_columns(dataset.columns)
    booster = train_booster(matrix, dataset.default, encoder, seed=1)
    loaded = xgb.Booster(model_file=bytearray(booster.save_raw("ubj")))
    scorer = Scorer(loaded)
    found = references_of(
        dataset.columns, lambda columns: predict(loaded, encoder.encode_columns(columns)), protected=protected
    )
    references = References(found)
    return Explained(encoder, scorer, Explainer(loaded, scorer, encoder, references), references)


def adverse_columns(model: Explained, columns: Columns, cutoff: float) -> Columns:
    adverse = 1 / (1 + np.exp(-model.margins(columns).astype(np.float64))) > cutoff
    return {field: values[adverse] for field, values in columns.items()}


def by_definition(model: Explained, columns: Columns, cutoff: float) -> dict[str, NDArray[np.float64]]:
    """The Shapley value of each field as it is sent, by all 2,048 mixtures of the applicant and the reference."""
    reference = model.reference(cutoff)

    def value(playing: frozenset[int]) -> NDArray[np.float64]:
        rows = len(columns["amount"])
        mixed = {
            field: columns[field] if number in playing else np.repeat(reference[field], rows)
            for number, field in enumerate(FIELDS)
        }
        return model.margins(mixed).astype(np.float64)

    return dict(zip(FIELDS, shapley_values(value, len(FIELDS)).T, strict=True))


def assert_by_definition(model: Explained, columns: Columns, cutoff: float) -> None:
    matrix = model.encoder.encode_columns(columns)
    found = dict(
        zip(subjects_of(model.encoder), model.explainer.comparison(cutoff).contributions(matrix).T, strict=True)
    )
    expected = by_definition(model, columns, cutoff)
    for field in set(FIELDS) - {"amount", "price"}:
        np.testing.assert_allclose(found[field], expected[field], atol=2e-5, err_msg=field)
    # Amount and price share the financing ratio, which is a subject of its own.
    ours, theirs = found["amount"] + found["financing_ratio"], expected["amount"] + expected["price"]
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_contributions_are_shapley_values_of_the_fields(
    model: StoredModel, synthetic: Dataset, cutoff: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("credit_risk.model.free_income._leave_out", lambda _found, _idle: None)
    columns = columns_of(synthetic.applications[:60])
    assert_by_definition(explained(model), columns, cutoff)


def test_those_of_deeper_trees_are_too(synthetic: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_risk.model.free_income._leave_out", lambda _found, _idle: None)
    deep = explained_depth(4, synthetic, monkeypatch)
    assert deep.scorer.table is None
    assert_by_definition(deep, columns_of(synthetic.applications[:20]), 0.3)


def test_contributions_add_up_to_the_distance_from_the_reference(
    model: StoredModel, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("credit_risk.model.free_income._leave_out", lambda _found, _idle: None)
    ours = explained(model)
    matrix = ours.encoder.encode_columns(synthetic.columns)
    found = ours.explainer.comparison(0.3).contributions(matrix).sum(axis=1)
    distance = ours.scorer.margins(matrix) - ours.margins(ours.reference(0.3))
    np.testing.assert_allclose(found, distance, atol=1e-4)


def share_that_does_not_hold(model: Explained, columns: Columns, cutoff: float) -> float:
    """Of all reasons given, the share whose fields, where they are worse than the reference's, do not matter."""
    adverse = adverse_columns(model, columns, cutoff)
    reference, before = model.reference(cutoff), model.margins(adverse)
    reasons = model.explainer.reasons(model.encoder.encode_columns(adverse), cutoff)
    given, wrong = 0, 0
    for code in {code for row in reasons for code, _ in row}:
        rows = np.array([number for number, row in enumerate(reasons) if code in dict(row)])
        changed = {field: values[rows].copy() for field, values in adverse.items()}
        for field in FIELDS_BEHIND[code]:
            worse = np.ones(len(rows), dtype=bool)
            if field in WORSE:
                worse = np.isnan(changed[field]) | ((changed[field] - reference[field]) * WORSE[field] > 0)
            changed[field] = np.where(worse, reference[field], changed[field])
        given += len(rows)
        wrong += int((model.margins(changed) >= before[rows]).sum())
    return wrong / given


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_nearly_every_reason_holds(model: StoredModel, synthetic: Dataset, real_file: Path, cutoff: float) -> None:
    for dataset in (synthetic, load_dataset(real_file)):
        assert share_that_does_not_hold(explained(model), dataset.columns, cutoff) <= 0.01


def test_so_do_those_of_a_deeper_model(synthetic: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = columns_of(synthetic.applications[:1500])
    assert share_that_does_not_hold(explained_depth(4, synthetic, monkeypatch), columns, 0.3) <= 0.01


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_who_is_not_approved_gets_one_to_four_reasons_in_words_that_differ(
    model: StoredModel, synthetic: Dataset, cutoff: float
) -> None:
    texts = load_catalogue(PROJECT / "reasons.yaml").reasons
    ours = explained(model)
    matrix = ours.encoder.encode_columns(adverse_columns(ours, synthetic.columns, cutoff))
    assert len(matrix) > 1000
    for reasons in ours.explainer.reasons(matrix, cutoff):
        values = [value for _, value in reasons]
        assert 1 <= len(reasons) <= MAX_REASONS
        assert values == sorted(values, reverse=True)
        assert min(values) > 0
        assert len({texts[code] for code, _ in reasons}) == len(reasons)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(application=APPLICATIONS, data=st.data())
def test_who_is_above_the_cutoff_gets_a_reason(
    model: StoredModel, application: CreditApplication, data: st.DataObject
) -> None:
    matrix = model.encoder.encode_columns(columns_of([application]))
    probability = probability_of(float(model.scorer.margins(matrix)[0]))
    of_references = [float(reference["review_above"]) for reference in model.metadata["references"]]
    just_below = math.nextafter(probability, 0)
    cutoff = data.draw(st.sampled_from([model.lowest_probability, just_below, *CUTOFFS, *of_references]))
    if model.lowest_probability <= cutoff < probability:
        assert model.explainer.reasons(matrix, cutoff)[0]


def test_who_equals_the_reference_but_for_rounding_gets_a_reason(model: StoredModel) -> None:
    described = model.metadata["references"]
    best, typical = described[0], described[References.of(described).place_for(0.3)]
    matrix = model.encoder.encode_columns(table_of(typical["applicant"]))
    probability = probability_of(float(model.scorer.margins(matrix)[0]))
    just_below = math.nextafter(probability, 0)
    references = References.of([best, typical | {"review_above": just_below}])
    explainer = Explainer(model._booster, model.scorer, model.encoder, references)
    [alone] = explainer.reasons(matrix, just_below)
    assert alone
    worse = model.encoder.encode_columns(table_of(typical["applicant"] | {"records": "yes"}))
    [beside, company] = explainer.reasons(np.concatenate([matrix, worse]), just_below)
    assert beside == alone
    assert [code for code, _ in company] == ["R05"]


def codes_where(model: StoredModel, columns: Columns, rows: NDArray[np.bool_]) -> Counter[str]:
    ours = explained(model)
    adverse = adverse_columns(ours, {field: values[rows] for field, values in columns.items()}, 0.1)
    found = ours.explainer.reasons(ours.encoder.encode_columns(adverse), 0.1)
    return Counter(code for row in found for code, _ in row)


UNKNOWN = {"income": ("R09", "R04"), "assets": ("R14", "R02"), "debt": ("R15", "R07")}
UNKNOWN_WORDS = {"job": ("R16", "R13", "R06"), "home": ("R17", "R08")}


@pytest.mark.parametrize("field", [*UNKNOWN, *UNKNOWN_WORDS])
def test_what_is_unknown_is_told_as_unknown(model: StoredModel, synthetic: Dataset, field: str) -> None:
    count = len(synthetic)
    nothing = np.full(count, np.nan) if field in UNKNOWN else np.full(count, "unk", dtype=object)
    unverified, *others = (UNKNOWN | UNKNOWN_WORDS)[field]
    codes = codes_where(model, {**synthetic.columns, field: nothing}, np.ones(count, dtype=bool))
    assert codes[unverified] > 100
    assert not any(codes[code] for code in others)
    known = synthetic.columns[field] > 0 if field in UNKNOWN else synthetic.columns[field] != "unk"
    assert not codes_where(model, synthetic.columns, known)[unverified]


def test_nobody_without_debt_has_excessive_obligations(model: StoredModel, synthetic: Dataset) -> None:
    codes = codes_where(model, synthetic.columns, ~(synthetic.columns["debt"] > 0))
    assert codes.total() > 1000
    assert not codes["R07"]


@pytest.mark.parametrize(("job", "code"), [("partime", "R06"), ("freelance", "R13"), ("others", "R13")])
def test_only_part_time_work_is_temporary(model: StoredModel, synthetic: Dataset, job: str, code: str) -> None:
    codes = codes_where(model, synthetic.columns, synthetic.columns["job"] == job)
    assert codes[code] > 20
    assert not codes[{"R06": "R13", "R13": "R06"}[code]]


def test_age_and_marital_status_are_told_where_a_model_decides_by_them(
    synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = explained_depth(2, synthetic, monkeypatch, protected=True)
    adverse = adverse_columns(ours, synthetic.columns, 0.3)
    reasons = ours.explainer.reasons(ours.encoder.encode_columns(adverse), 0.3)
    codes = Counter(code for row in reasons for code, _ in row)
    assert codes["R18"] > 10
    assert codes["R19"] > 10


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_the_company_of_a_row_changes_nothing(model: StoredModel, synthetic: Dataset, size: int) -> None:
    matrix = model.encoder.encode_columns(synthetic.columns)[:640]
    together = model.explainer.reasons(matrix, 0.3)
    for start in range(0, len(matrix), size):
        rows: Matrix = matrix[start : start + size]
        assert model.explainer.reasons(rows, 0.3, model.scorer.score(rows)[1]) == together[start : start + size]


def test_a_field_that_would_change_nothing_is_left_out(model: StoredModel, synthetic: Dataset) -> None:
    """Without an income, smaller debts and expenses would not help."""
    applications = [
        a.model_copy(update={"income": None, "expenses": 60, "debt": 500.0}) for a in synthetic.applications[:50]
    ]
    ours = explained(model)
    matrix = ours.encoder.encode_columns(columns_of(applications))
    shares_of: FreeIncomeShares = ours.explainer.comparison(0.3)._free_income
    income, expenses, debt, amount = shares_of.shares(matrix).T
    assert (income > 0).all()
    assert not (np.r_[expenses, debt, amount] > 0).any()


def test_the_reference_just_passes_the_cutoff(model: StoredModel) -> None:
    ours = explained(model)
    references = [ours.references[place] for place in range(len(model.metadata["references"]))]
    assert len(references) > 50
    for reference, following in pairwise(references):
        assert reference.review_above < following.review_above
        margin = float(ours.margins(table_of(reference.applicant))[0])
        assert 1 / (1 + math.exp(-margin)) <= reference.review_above + 1e-7
        assert ours.references.place_for(reference.review_above) == references.index(reference)
    assert ours.references.place_for(0.0) == 0


def test_nobody_passes_below_the_first_reference(model: StoredModel, synthetic: Dataset) -> None:
    lowest = model.lowest_probability
    margins = explained(model).margins(synthetic.columns).astype(np.float64)
    assert 0 < lowest <= (1 / (1 + np.exp(-margins))).min()
