"""Contributions and the reasons that come of them, against XGBoost's own and by hand."""

from __future__ import annotations

from pathlib import Path

import bentoml
import numpy as np
import pytest
import xgboost as xgb

from credit_risk.contract.catalogue import MAX_REASONS, SCORE_CODES
from credit_risk.contract.policy import load_policy
from credit_risk.model.contributions import ContributionTable
from credit_risk.model.explainer import CODE_OF_FIELD, NO_REASON, Explainer, reference_of
from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.model.trees import TreeTable
from credit_risk.training.data import Dataset, load_dataset
from credit_risk.training.recipe import train_booster
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def booster(model: StoredModel) -> xgb.Booster:
    booster: xgb.Booster = bentoml.xgboost.load_model(model.tag)
    return booster


@pytest.fixture(scope="module")
def matrix(model: StoredModel, synthetic: Dataset) -> Matrix:
    return model.encoder.encode_columns(synthetic.columns)


def of_xgboost(booster: xgb.Booster, matrix: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(booster.predict(xgb.DMatrix(matrix), pred_contribs=True))[:, :-1]


def by_column(model: StoredModel, matrix: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    assert model.scorer.table is not None
    columns = matrix.shape[1]
    return ContributionTable(model.scorer.table, range(columns), columns).contributions(matrix)


def test_tabulated_contributions_are_xgboosts(model: StoredModel, booster: xgb.Booster, matrix: Matrix) -> None:
    np.testing.assert_allclose(by_column(model, matrix), of_xgboost(booster, matrix), atol=1e-5)


def test_they_are_also_on_real_applications(model: StoredModel, booster: xgb.Booster, real_file: Path) -> None:
    matrix = model.encoder.encode_columns(load_dataset(real_file).columns)
    np.testing.assert_allclose(by_column(model, matrix), of_xgboost(booster, matrix), atol=1e-5)


@pytest.mark.parametrize("features", [1, 2, 3])
def test_they_are_where_trees_split_on_one_feature_more_than_once(features: int) -> None:
    """With few features all five ways in which the splits of a tree can share them come up."""
    rng = np.random.default_rng(features)
    matrix = rng.normal(size=(500, features)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    label = rng.random(500) < 1 / (1 + np.exp(-np.nan_to_num(matrix).sum(axis=1)))
    trained = xgb.train({"max_depth": 2, "objective": "binary:logistic"}, xgb.DMatrix(matrix, label), 30)
    loaded = xgb.Booster(model_file=bytearray(trained.save_raw("ubj")))
    trees = TreeTable.of(loaded)
    assert trees is not None
    table = ContributionTable(trees, range(features), features)
    np.testing.assert_allclose(table.contributions(matrix), of_xgboost(loaded, matrix), atol=1e-5)


def test_contributions_add_up_to_the_margin(model: StoredModel, matrix: Matrix) -> None:
    base = model.scorer.margins(matrix) - model.explainer.contributions(matrix).sum(axis=1)
    assert np.ptp(base) < 1e-4


def test_a_deeper_model_is_explained_by_xgboost_itself(model: StoredModel, matrix: Matrix, synthetic: Dataset) -> None:
    label = synthetic.default
    deep = xgb.train({"max_depth": 4, "objective": "binary:logistic"}, xgb.DMatrix(matrix, label), 10)
    explainer = Explainer(deep, None, model.encoder)
    margins = deep.predict(xgb.DMatrix(matrix), output_margin=True)
    base = margins - explainer.contributions(matrix).sum(axis=1)
    assert np.ptp(base) < 1e-4
    assert len(explainer.reasons(matrix[:10])) == 10


def test_both_ways_give_the_same_reasons(model: StoredModel, booster: xgb.Booster, matrix: Matrix) -> None:
    slow = Explainer(booster, None, model.encoder, model.metadata["reference_contributions"])
    for ours, theirs in zip(model.explainer.reasons(matrix), slow.reasons(matrix), strict=True):
        if [code for code, _ in ours] != [code for code, _ in theirs]:  # all but equal ones may change places
            assert sorted(v for _, v in ours) == pytest.approx(sorted(v for _, v in theirs), abs=1e-5)


def test_every_declined_applicant_gets_two_to_four_reasons(model: StoredModel, matrix: Matrix) -> None:
    policy = load_policy(PROJECT / "policy.yaml")
    margins = model.scorer.margins(matrix).tolist()
    declined = [number for number, m in enumerate(margins) if policy.status_of(probability_of(m)) == "DECLINED"]
    assert len(declined) > 500
    for reasons in model.explainer.reasons(matrix[declined]):
        values = [value for _, value in reasons]
        assert 2 <= len(reasons) <= MAX_REASONS
        assert values == sorted(values, reverse=True)
        assert min(values) > 0
        assert len({code for code, _ in reasons}) == len(reasons)
        assert {code for code, _ in reasons} <= set(SCORE_CODES)


def test_unknown_income_is_named_as_such(model: StoredModel, synthetic: Dataset, matrix: Matrix) -> None:
    unverified = np.array([application.income_unverified for application in synthetic.applications])
    for known, codes in ((False, {"R04"}), (True, {"R09"})):
        given = {code for reasons in model.explainer.reasons(matrix[unverified != known]) for code, _ in reasons}
        assert not given & codes
        assert given & ({"R04", "R09"} - codes)


def test_age_and_marital_status_are_no_reason_even_in_a_model_that_has_them(synthetic: Dataset) -> None:
    fields = ("seniority", "time", "expenses", "income", "assets", "debt", "amount", "price", "age")
    ratios = ("financing_ratio", "repay_capacity")
    words = {"home": ("owner", "rent"), "records": ("no", "yes"), "job": ("fixed",), "marital": ("married", "single")}
    encoder = Encoder([*fields, *ratios, *(f"{field}={word}" for field in words for word in words[field])])
    matrix = encoder.encode_columns(synthetic.columns)
    booster = train_booster(matrix, synthetic.default, encoder, seed=1)
    explainer = Explainer(booster, None, encoder)
    contributions = explainer.contributions(matrix)
    assert np.abs(contributions[:, NO_REASON]).max() > 0.01
    assert contributions.shape[1] == NO_REASON + 1
    assert not {"age", "marital"} & set(CODE_OF_FIELD)
    assert all(code in SCORE_CODES for reasons in explainer.reasons(matrix) for code, _ in reasons)


def test_the_reference_is_of_those_who_just_passed() -> None:
    contributions = np.ones((200, NO_REASON + 1), dtype=np.float32)
    contributions[:100] = 3
    probabilities = np.r_[np.full(100, 0.25), np.full(100, 0.05)]
    assert set(reference_of(contributions, probabilities).values()) == {3.0}
    probabilities[:90] = 0.9  # too few are left: all who passed, 10 of the first and 100 of the second
    assert reference_of(contributions, probabilities)["R01"] == pytest.approx((10 * 3 + 100) / 110)
