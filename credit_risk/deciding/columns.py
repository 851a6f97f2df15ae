"""The same decisions for a table of applications, a column at a time.

Tests pin every function here to the one for a single application: `Policy.decide`, `warnings_of` and `Decider`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.catalogue import RULE_CODES
from credit_risk.contract.decision import STATUSES, score_of
from credit_risk.contract.policy import Policy
from credit_risk.contract.warning import (
    MOST_TIMES_AMOUNT,
    RARELY_UNKNOWN,
    TERM_STEP,
    USUAL_RANGES,
    WARNINGS,
    YOUNGEST_WORKER,
)
from credit_risk.deciding.decided import named_reasons
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.model.table import Columns

WholeNumbers = NDArray[np.int64]
WARNING_CODES = tuple(warning.code for warning in WARNINGS)


class DecidedColumns(NamedTuple):
    """The decisions of n applications, by column."""

    status: WholeNumbers  # places in STATUSES, (n,)
    probability: list[float]  # of default, unrounded
    score: list[int]  # points
    reasons: list[tuple[str, ...]] | None  # codes; None if they were not asked for
    warnings: list[tuple[str, ...]]  # codes


def decide_columns(columns: Columns, model: StoredModel, policy: Policy, *, reasons: bool = True) -> DecidedColumns:
    """Decide the n applications of a table."""
    matrix = model.encoder.encode_columns(columns)
    margins = model.scorer.margins(matrix).tolist()
    # One by one, because numpy's exponential and rounding differ from the service's in the last place.
    probabilities = [probability_of(margin) for margin in margins]
    by_score, status, rules = outcomes(policy, np.array(probabilities), columns)
    named: list[tuple[str, ...]] | None = None
    if reasons:
        named = [_codes(bits, RULE_CODES) for bits in rules.tolist()]
        adverse = np.flatnonzero(by_score)
        explained = model.explainer.reasons(matrix[adverse], policy.cutoffs.review_above)
        for row, found in zip(adverse.tolist(), explained, strict=True):
            named[row] = tuple(code for code, _ in named_reasons(named[row], found))
    warnings = [_codes(bits, WARNING_CODES) for bits in oddities(columns).tolist()]
    return DecidedColumns(status, probabilities, [score_of(margin) for margin in margins], named, warnings)


def outcomes(
    policy: Policy, probabilities: NDArray[np.float64], columns: Columns
) -> tuple[WholeNumbers, WholeNumbers, WholeNumbers]:
    """Apply the policy to n unrounded probabilities of default, as `Policy.decide` does to one.

    Gives the status by the score alone and the status, as places in STATUSES, and the rules that ask for that status,
    as bits by RULE_CODES; each is (n,).
    """
    cutoffs = policy.cutoffs
    by_score = 1 * (probabilities > cutoffs.review_above) + (probabilities > cutoffs.decline_above)
    amount, rules = columns["amount"], policy.rules
    applying = [
        (rules.unverified_income, ~(columns["income"] > 0)),
        (rules.amount_above_price, amount > columns["price"]),
        (rules.amount_above_limit, amount > rules.amount_above_limit.limit),
        (rules.unverified_assets, np.isnan(columns["assets"])),
        (rules.unverified_debt, np.isnan(columns["debt"])),
    ]
    asked = [np.where(applies & rule.enabled, STATUSES.index(rule.outcome), 0) for rule, applies in applying]
    status = np.maximum.reduce([by_score, *asked])
    return by_score, status, _bits([(outcome > 0) & (outcome == status) for outcome in asked])


def oddities(columns: Columns) -> WholeNumbers:
    """Tell what is odd about n applications, as `warnings_of` does of one: bits by WARNINGS, (n,)."""
    odd = [(columns[name] < low) | (columns[name] > high) for name, (low, high) in USUAL_RANGES.items()]
    odd += [columns[name] == "unk" for name in RARELY_UNKNOWN]
    odd += [~(columns["income"] > 0), columns["time"] % TERM_STEP > 0]
    odd += [columns["seniority"] > columns["age"] - YOUNGEST_WORKER, columns["amount"] > columns["price"]]
    odd += [columns["price"] > MOST_TIMES_AMOUNT * columns["amount"]]
    odd += [np.isnan(columns["assets"]), np.isnan(columns["debt"])]
    return _bits(odd)


def _bits(flags: list[NDArray[np.bool_]]) -> WholeNumbers:
    found: WholeNumbers = np.left_shift(1, np.arange(len(flags))) @ np.array(flags)
    return found


def _codes(bits: int, codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(code for bit, code in enumerate(codes) if bits >> bit & 1)
