"""Why an application was not approved: its adverse-action reasons.

What speaks most against the applicant, in comparison with the typical applicant who just passed, comes first. Comparing
with applicants at the cutoff is a method that the official interpretation of Regulation B names (12 CFR 1002, comment
9(b)(2)-5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.catalogue import MAX_REASONS
from credit_risk.model.comparison import Comparison, subjects_of
from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.ratios import RATIO_BY_NAME
from credit_risk.model.reference import References
from credit_risk.model.table import table_of

if TYPE_CHECKING:
    import xgboost as xgb

    from credit_risk.model.scorer import Scorer

CODES = {
    "seniority": "R01",
    "assets": "R02",
    "financing_ratio": "R03",
    "income": "R04",
    "records": "R05",
    "job": "R13",
    "debt": "R07",
    "home": "R08",
    "time": "R10",
    "expenses": "R11",
    "amount": "R12",
    "age": "R18",
    "marital": "R19",
}
UNVERIFIED = {"income": "R09", "assets": "R14", "debt": "R15", "job": "R16", "home": "R17"}  # where it is unknown
INCOME, JOB = 0, 3  # places in UNVERIFIED
PART_TIME = "R06"  # of a job
# The fields that a reason is about, by code.
FIELDS_BEHIND: dict[str, tuple[str, ...]] = {
    code: RATIO_BY_NAME[subject].fields if subject in RATIO_BY_NAME else (subject,)
    for codes in (CODES, UNVERIFIED, {"job": PART_TIME})
    for subject, code in codes.items()
}

Reasons = tuple[tuple[str, float], ...]  # codes, each with its contribution in log odds; the strongest first


class Explainer:
    """Finds the reasons of rows, for one booster."""

    def __init__(self, booster: xgb.Booster, scorer: Scorer, encoder: Encoder, references: References) -> None:
        self._booster = booster
        self._scorer = scorer
        self._encoder = encoder
        self._references = references
        self._comparisons: dict[float, Comparison] = {}  # by the cutoff of review
        self._subjects = subjects_of(encoder)
        self._codes = [None if subject in UNVERIFIED else CODES[subject] for subject in self._subjects]
        # What the other codes depend on: a column of each field that may be unknown, and the one of part-time jobs.
        columns = {name.partition("=")[0]: place for place, name in enumerate(encoder.names)}
        self._facts = [columns.get(field, 0) for field in UNVERIFIED]
        self._facts.append(encoder.names.index("job=partime"))
        self._depends = {
            self._subjects.index(field): (place, CODES[field], unverified)
            for place, (field, unverified) in enumerate(UNVERIFIED.items())
            if field in self._subjects
        }

    def comparison(self, review_above: float) -> Comparison:
        """Get the comparison for a policy's cutoff of review. It is made when it is first asked for."""
        if review_above not in self._comparisons:
            reference = self._references[self._references.place_for(review_above)]
            row = self._encoder.encode_columns(table_of(reference.applicant))
            self._comparisons[review_above] = Comparison(self._booster, self._scorer, self._encoder, row)
        return self._comparisons[review_above]

    def reasons(self, matrix: Matrix, review_above: float, patterns: NDArray[np.intp] | None = None) -> list[Reasons]:
        """Give one to MAX_REASONS reasons against each row of a matrix (n, features).

        Their probabilities of default must be above `review_above`. `patterns` are as for `Comparison.contributions`.
        """
        found = self._compared(self.comparison(review_above), matrix, patterns)
        if not all(found):
            # By rounding, an applicant like the reference may be a little above the cutoff. The best applicant is not.
            without = [place for place, reasons in enumerate(found) if not reasons]
            for place, reasons in zip(without, self._compared(self.comparison(0.0), matrix[without]), strict=True):
                found[place] = reasons
        return found

    def _compared(
        self, comparison: Comparison, matrix: Matrix, patterns: NDArray[np.intp] | None = None
    ) -> list[Reasons]:
        against = comparison.contributions(matrix, patterns)
        strongest = against.argsort(axis=1, kind="stable")[:, : -MAX_REASONS - 1 : -1].tolist()
        facts = matrix.take(self._facts, axis=1).tolist()
        return [
            tuple([(self._codes[s] or self._code(s, known), values[s]) for s in subjects if values[s] > 0])
            for subjects, values, known in zip(strongest, against.tolist(), facts, strict=True)
        ]

    def _code(self, subject: int, facts: list[float]) -> str:
        """Name a subject whose code depends on what is known about the applicant."""
        place, known, unverified = self._depends[subject]
        value = facts[place]
        if value != value or (value <= 0 and place == INCOME):  # NaN is unlike itself
            return unverified
        return PART_TIME if place == JOB and facts[-1] == 1 else known
