"""What speaks against an applicant, in comparison with one reference: contributions by what they are about.

The contributions of features are exact baseline Shapley values. A ratio belongs to several fields. What the financing
ratio contributes is about amount and price together. What the free income ratio contributes is shared out among its
fields; the shares of income and amount together are about the income for the amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.contributions import Contributions, ContributionTable
from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.free_income import FIELDS, RATIO, FreeIncomeShares
from credit_risk.model.leaves import LeafTable
from credit_risk.model.trees import thresholds_of, trees_of

if TYPE_CHECKING:
    import xgboost as xgb

    from credit_risk.model.scorer import Scorer

# What a contribution may be about.
SUBJECTS = (
    *FIELDS,
    "seniority",
    "assets",
    "financing_ratio",
    "records",
    "job",
    "home",
    "time",
    "age",
    "marital",
)
SHARED = slice(len(FIELDS))


def subjects_of(encoder: Encoder) -> list[str]:
    """List what the contributions of a model are about."""
    fields = {name.partition("=")[0] for name in encoder.names}
    return [subject for subject in SUBJECTS if subject in fields]


class Comparison:
    """Compares rows with one reference."""

    def __init__(self, booster: xgb.Booster, scorer: Scorer, encoder: Encoder, reference: Matrix) -> None:
        """`reference` is a matrix of one row."""
        fields = [name.partition("=")[0] for name in encoder.names]
        subjects = subjects_of(encoder)
        # The free income ratio is no subject. It is shared out.
        subject_of = [subjects.index(field) if field in subjects else None for field in fields]
        self._table: ContributionTable | LeafTable
        if scorer.table is not None:
            self._table = ContributionTable(scorer.table, subject_of, len(subjects), reference)
        else:
            self._table = LeafTable(trees_of(booster), subject_of, len(subjects), reference)
        ratio = encoder.names.index(RATIO)
        places = tuple(encoder.names.index(field) for field in FIELDS)
        self._free_income = FreeIncomeShares(places, ratio, thresholds_of(booster, ratio), scorer.margins, reference)

    def contributions(self, matrix: Matrix, patterns: NDArray[np.intp] | None = None) -> Contributions:
        """Give what speaks against each row of a matrix (n, features), in log odds, as (n, subjects).

        If a TreeTable looked the margins up, pass the `patterns` (trees, n), so that they need not be found again.
        """
        if patterns is not None and isinstance(self._table, ContributionTable):
            found = self._table.of_patterns(patterns)
        else:
            found = self._table.contributions(matrix)
        found[:, SHARED] += self._free_income.shares(matrix)
        return found
