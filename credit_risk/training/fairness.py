"""How groups of applicants fare: their approvals beside those of the largest group, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from credit_risk.contract.decision import Status
from credit_risk.contract.policy import Policy
from credit_risk.training.evaluation import Outcomes, Probabilities
from credit_risk.training.figures import Calibration, Sample, calibration, decide
from credit_risk.training.resampling import LEVEL, Interval

MIN_GROUP = 30  # with fewer applicants the rates would be mostly chance, and would reveal single persons
# The last year of each band; 62 is where Regulation B, 12 CFR 1002.2(o), begins to protect the elderly.
AGE_BANDS = {"18 to 24": 24, "25 to 39": 39, "40 to 61": 61, "62 and over": np.inf}


@dataclass(frozen=True)
class Approvals:
    """How many of n applicants are approved, and their rate divided by that of the largest group."""

    n: int
    rate: float
    ratio: Interval | None  # None for the largest group itself, and where that has no approvals

    @classmethod
    def of(cls, approved: NDArray[np.bool_], reference: NDArray[np.bool_] | None) -> Approvals:
        """Compare approvals (n,) with those of the largest group, (m,)."""
        rate = float(approved.mean())
        return cls(len(approved), rate, None if reference is None else _ratio(approved, reference))


def _ratio(approved: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Interval | None:
    """Divide two rates, with the interval of Katz et al. (Biometrics 34, 1978). None if the reference has no approvals.

    Where nobody is approved, half an applicant counts as approved for the upper end of the interval.
    """
    if not reference.any():
        return None
    cases, reference_cases = max(approved.sum(), 0.5), reference.sum()
    variance = 1 / cases - 1 / len(approved) + 1 / reference_cases - 1 / len(reference)
    reach = np.exp(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))
    ratio = float(cases / len(approved) / reference.mean())
    if not approved.any():
        return Interval(0.0, 0.0, float(ratio * reach))
    return Interval(ratio, float(ratio / reach), float(ratio * reach))


@dataclass(frozen=True)
class GroupRow:
    """How a group of applicants fares. Nothing but their number is told of fewer than MIN_GROUP."""

    group: str
    n: int
    calibration: Calibration | None = None
    all: Approvals | None = None
    good: Approvals | None = None  # of those who paid back, if they are MIN_GROUP or more
    bad_rate: float | None = None  # of the approved


def group_table(
    groups: Sequence[str], default: Outcomes, probability: Probabilities, statuses: Sequence[Status]
) -> list[GroupRow]:
    """Make a row for each group, by name; `groups` and `statuses` hold each applicant's group and decision, (n,)."""
    names, approved = np.array(groups), np.array(statuses) == "APPROVED"
    members = {name: np.flatnonzero(names == name) for name in sorted(set(groups))}
    largest = max(members, key=lambda name: len(members[name]))
    reference = members[largest]
    good_reference = reference[default[reference] == 0]
    table = []
    for name, rows in members.items():
        if len(rows) < MIN_GROUP:
            table.append(GroupRow(name, len(rows)))
            continue
        compared = name != largest
        good, passed = rows[default[rows] == 0], rows[approved[rows]]
        row = GroupRow(
            name,
            len(rows),
            calibration(default[rows], probability[rows]),
            Approvals.of(approved[rows], approved[reference] if compared else None),
            Approvals.of(approved[good], approved[good_reference] if compared else None)
            if min(len(good), len(good_reference)) >= MIN_GROUP
            else None,
            float(default[passed].mean()) if len(passed) else None,
        )
        table.append(row)
    return table


@dataclass(frozen=True)
class Fairness:
    """The groups of applicants by age and by marital status, which no decision should depend on."""

    age: list[GroupRow]
    marital: list[GroupRow]

    @classmethod
    def of(cls, sample: Sample, policy: Policy) -> Fairness:
        statuses = decide(policy, sample)
        age = [next(band for band, last in AGE_BANDS.items() if a.age <= last) for a in sample.applications]
        marital = [a.marital for a in sample.applications]
        groups = (group_table(names, sample.default, sample.probability, statuses) for names in (age, marital))
        return cls(*groups)


def lowest_ratio(rows: Sequence[GroupRow]) -> tuple[str, float]:
    """Name the group with the lowest ratio of approval rates to the largest group, and its ratio."""
    ratios = [(row.all.ratio.value, row.group) for row in rows if row.all and row.all.ratio]
    ratio, group = min(ratios, default=(1.0, "the largest group"))
    return group, ratio
