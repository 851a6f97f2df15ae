"""Why an application was not approved: its adverse-action reasons, from exact contributions to its margin.

The contributions of the columns are added up by what an applicant would recognise (the code of a reason), compared with
those of applicants who just passed, and ranked: what speaks most against the applicant comes first. Comparing with
applicants at the cutoff is a method that the official interpretation of Regulation B names (12 CFR 1002, comment
9(b)(2)-5). Age and marital status are never reasons, even if a model was trained with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.catalogue import MAX_REASONS, SCORE_CODES
from credit_risk.model.contributions import Contributions, ContributionTable
from credit_risk.model.features import Encoder, Matrix

if TYPE_CHECKING:
    import xgboost as xgb

    from credit_risk.model.trees import TreeTable

CODE_OF_FIELD = {
    "seniority": "R01",
    "assets": "R02",
    "financing_ratio": "R03",
    "amount": "R03",
    "price": "R03",
    "repay_capacity": "R04",
    "income": "R04",
    "records": "R05",
    "job": "R06",
    "debt": "R07",
    "expenses": "R07",
    "home": "R08",
    "time": "R10",
}
INSUFFICIENT_INCOME, UNVERIFIED_INCOME = "R04", "R09"  # the second replaces the first where income is unknown
NO_REASON = len(SCORE_CODES)  # the group of age and marital status
JUST_PASSED = (0.2, 0.3)  # probabilities of default just below the tutorial's cutoff of approval
FEWEST_TO_COMPARE = 50  # applicants who just passed; if there are fewer, all who passed are compared with

Reasons = tuple[tuple[str, float], ...]  # codes, each with its excess over the reference; the strongest first


class Explainer:
    """Finds the contributions and the reasons of rows, for one booster."""

    def __init__(
        self,
        booster: xgb.Booster,
        trees: TreeTable | None,
        encoder: Encoder,
        reference: Mapping[str, float] | None = None,
    ) -> None:
        """`trees` is the booster's table, if any. `reference` holds mean contributions by code, for `reasons`."""
        fields = [name.partition("=")[0] for name in encoder.names]
        self._group_of = [
            SCORE_CODES.index(CODE_OF_FIELD[field]) if field in CODE_OF_FIELD else NO_REASON for field in fields
        ]
        self._table = ContributionTable(trees, self._group_of, NO_REASON + 1) if trees is not None else None
        self._booster = booster
        self._income = encoder.names.index("income")
        self._reference = np.array([(reference or {}).get(code, 0.0) for code in SCORE_CODES], dtype=np.float32)

    def contributions(self, matrix: Matrix) -> Contributions:
        """Give the contributions to the margins of rows (n, features): by SCORE_CODES, then what is no reason."""
        if self._table is not None:
            return self._table.contributions(matrix)
        import xgboost as xgb

        by_column = self._booster.predict(xgb.DMatrix(matrix), pred_contribs=True)[:, :-1]  # without the base
        found = np.zeros((NO_REASON + 1, len(matrix)), dtype=np.float32)
        np.add.at(found, self._group_of, by_column.T)
        return found.T

    def reasons(self, matrix: Matrix, patterns: NDArray[np.intp] | None = None) -> list[Reasons]:
        """Give the reasons against each row of a matrix (n, features), at most MAX_REASONS each.

        Only what speaks against the applicant is a reason. If the margins were looked up, pass their `patterns`
        (trees, n), so that they need not be found again.
        """
        if self._table is not None and patterns is not None:
            contributions = self._table.of_patterns(patterns)
        else:
            contributions = self.contributions(matrix)
        excess = contributions[:, :NO_REASON] - self._reference
        order = np.argsort(-excess, axis=1, kind="stable")[:, :MAX_REASONS]
        ranked = np.take_along_axis(excess, order, axis=1).tolist()
        verified = (matrix[:, self._income] > 0).tolist()
        return [
            tuple((_code(group, known), value) for group, value in zip(groups, values, strict=True) if value > 0)
            for groups, values, known in zip(order.tolist(), ranked, verified, strict=True)
        ]


def _code(group: int, income_is_known: bool) -> str:
    code = SCORE_CODES[group]
    return UNVERIFIED_INCOME if code == INSUFFICIENT_INCOME and not income_is_known else code


def reference_of(contributions: Contributions, probabilities: NDArray[np.floating]) -> dict[str, float]:
    """Average the contributions, by code, of the applicants who just passed, or of all who passed if those are few.

    `contributions` are (n, groups) as an Explainer gives them; `probabilities` of default are (n,).
    """
    low, high = JUST_PASSED
    just_passed = (probabilities >= low) & (probabilities <= high)
    if just_passed.sum() < FEWEST_TO_COMPARE:
        just_passed = probabilities <= high
    means = contributions[just_passed].mean(axis=0, dtype=np.float64)
    return {code: float(mean) for code, mean in zip(SCORE_CODES, means, strict=False)}
