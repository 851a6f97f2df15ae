from __future__ import annotations

import numpy as np
import pytest
from scipy.stats.contingency import relative_risk

from credit_risk.contract.policy import load_policy
from credit_risk.training.data import Dataset
from credit_risk.training.fairness import Approvals, Fairness, group_table, lowest_ratio
from credit_risk.training.figures import Sample, calibration
from tests.conftest import PROJECT


def approvals(approved: int, n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.arange(n) < approved


def test_groups_by_hand() -> None:
    groups = ["a"] * 60 + ["b"] * 100 + ["few"] * 29
    statuses = ["APPROVED"] * 15 + ["MAYBE"] * 45 + ["APPROVED"] * 50 + ["DECLINED"] * 50 + ["APPROVED"] * 29
    default = np.tile([0, 0, 1], 63)
    a, b, few = group_table(groups, default, np.full(189, 0.25), statuses)  # type: ignore[arg-type]
    assert (a.n, b.n, few.n) == (60, 100, 29)
    assert a.calibration == calibration(default[:60], np.full(60, 0.25))
    assert a.all
    assert a.all.ratio
    assert b.all
    assert (a.all.rate, a.all.ratio.value, b.all.rate, b.all.ratio) == (0.25, 0.5, 0.5, None)
    assert a.good
    assert (a.good.n, a.good.rate) == (40, 0.25)
    assert a.bad_rate == pytest.approx(5 / 15)
    assert (few.calibration, few.all, few.good, few.bad_rate) == (None, None, None, None)
    assert lowest_ratio([a, b, few]) == ("a", 0.5)


@pytest.mark.parametrize(("approved", "n", "largest", "m"), [(10, 40, 25, 50), (30, 30, 20, 90), (1, 500, 499, 500)])
def test_the_interval_of_a_ratio_is_scipy_s(approved: int, n: int, largest: int, m: int) -> None:
    found = Approvals.of(approvals(approved, n), approvals(largest, m)).ratio
    expected = relative_risk(approved, n, largest, m)
    assert found
    assert found.value == pytest.approx(expected.relative_risk)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_where_nobody_is_approved_the_ratio_is_zero_or_none() -> None:
    nobody = Approvals.of(approvals(0, 40), approvals(20, 40)).ratio
    assert nobody
    assert (nobody.value, nobody.low) == (0, 0)
    assert 0 < nobody.high < 1
    assert Approvals.of(approvals(10, 40), approvals(0, 40)).ratio is None


def test_the_groups_are_those_of_the_applications(synthetic: Dataset) -> None:
    probability = np.random.default_rng(1).uniform(0, 1, len(synthetic))
    sample = Sample(synthetic.applications, synthetic.default, probability)
    fairness = Fairness.of(sample, load_policy(PROJECT / "policy.yaml"))
    assert [row.group for row in fairness.age] == ["18 to 24", "25 to 39", "40 to 61", "62 and over"]
    for rows in (fairness.age, fairness.marital):
        assert sum(row.n for row in rows) == len(synthetic)
    of_age = {row.group: row.n for row in fairness.age}
    assert of_age["62 and over"] == (synthetic.columns["age"] >= 62).sum()
    assert of_age["18 to 24"] == (synthetic.columns["age"] < 25).sum()
