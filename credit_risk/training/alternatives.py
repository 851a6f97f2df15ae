"""The search for less discriminatory alternatives: models without some fields, what they cost and whom they help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from credit_risk.contract.policy import Policy
from credit_risk.model.ratios import RATIO_BY_NAME
from credit_risk.training.fairness import Fairness, GroupRow, lowest_ratio
from credit_risk.training.figures import Sample, decide
from credit_risk.training.ground import Ground
from credit_risk.training.parallel import in_threads
from credit_risk.training.plan import Plan
from credit_risk.training.resampling import Interval, gain

BEST = 3  # fields, of which pairs are left out
REPEATS = 2  # of the cross-validation; each costs as many trainings as there are folds, for each alternative


@dataclass(frozen=True)
class Alternative:
    """A model without some fields, cross-validated, and its approvals under the policy in the first repeat."""

    without: list[str]  # fields; none for the model itself
    auc: float
    cost: Interval | None  # of AUC, on the same folds; None for the model itself
    approved: float
    age: float  # the ratio of approval rates to the largest group, for the group for which the model has the lowest
    marital: float
    lowest: float  # of any group


@dataclass(frozen=True)
class Search:
    """The model itself, then the alternatives, the highest `lowest` first."""

    n: int
    age_group: str  # whose ratio is `age`
    marital_group: str
    alternatives: list[Alternative]

    @property
    def found(self) -> list[Alternative]:
        """Those that raise the lowest ratio, and whose cost can't be told from none."""
        own, *others = self.alternatives
        return [other for other in others if other.cost and other.cost.low <= 0 and other.lowest > own.lowest]


def fields_of(names: tuple[str, ...]) -> list[str]:
    """Give the fields behind the columns of a model, by name."""
    return sorted({field for name in names for field in _fields_behind(name)})


def columns_without(names: tuple[str, ...], without: set[str]) -> NDArray[np.bool_]:
    """Mark the columns that depend on fields, (features,). To leave out a field is to leave out its ratios, too."""
    return np.array([not without.isdisjoint(_fields_behind(name)) for name in names])


def _fields_behind(name: str) -> tuple[str, ...]:
    """Give the fields that a column is made of."""
    return RATIO_BY_NAME[name].fields if name in RATIO_BY_NAME else (name.partition("=")[0],)


def trainings(names: tuple[str, ...], plan: Plan) -> int:
    """Count the trainings of a search among models with these columns."""
    fields = len(fields_of(names))
    return (1 + fields + len(list(combinations(range(min(fields, BEST)), 2)))) * min(REPEATS, plan.repeats) * plan.folds


@dataclass(frozen=True)
class _Measured:
    without: list[str]
    aucs: list[float]  # by fold
    fairness: Fairness
    approved: float

    @property
    def lowest(self) -> float:
        return min(lowest_ratio(rows)[1] for rows in (self.fairness.age, self.fairness.marital))


def search(ground: Ground, policy: Policy, advance: Callable[[], None]) -> Search:
    """Leave out each field, then each two of the BEST that raise the lowest ratio most."""
    folds = ground.splits(min(REPEATS, ground.plan.repeats))

    def measure(without: list[str]) -> _Measured:
        columns = columns_without(ground.encoder.names, set(without))
        probability, aucs = np.empty(len(ground.default)), []
        for number, (fitted, held_out) in enumerate(folds):
            predicted = ground.predict(fitted, held_out, without=columns)
            aucs.append(float(roc_auc_score(ground.default[held_out], predicted)))
            if number < ground.plan.folds:
                probability[held_out] = predicted
            advance()
        sample = Sample(ground.applications, ground.default, probability)
        approved = float(np.mean([status == "APPROVED" for status in decide(policy, sample)]))
        return _Measured(without, aucs, Fairness.of(sample, policy), approved)

    own, *others = in_threads(
        ground.plan.threads, measure, [[], *([field] for field in fields_of(ground.encoder.names))]
    )
    best = [measured.without for measured in sorted(others, key=lambda measured: -measured.lowest)[:BEST]]
    others += in_threads(ground.plan.threads, measure, [[*one, *other] for one, other in combinations(best, 2)])
    age, marital = (lowest_ratio(rows)[0] for rows in (own.fairness.age, own.fairness.marital))

    def alternative(measured: _Measured) -> Alternative:
        return Alternative(
            measured.without,
            float(np.mean(measured.aucs)),
            gain(own.aucs, measured.aucs, ground.plan.folds) if measured.without else None,
            measured.approved,
            _ratio_of(age, measured.fairness.age),
            _ratio_of(marital, measured.fairness.marital),
            measured.lowest,
        )

    ranked = sorted(others, key=lambda measured: -measured.lowest)
    return Search(len(ground.default), age, marital, [alternative(measured) for measured in (own, *ranked)])


def _ratio_of(group: str, rows: list[GroupRow]) -> float:
    [ratio] = [row.all.ratio.value for row in rows if row.group == group and row.all and row.all.ratio] or [1.0]
    return ratio
