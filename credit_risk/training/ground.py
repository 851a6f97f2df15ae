"""What models are trained and tested on to compare them: rows of a data set, encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from credit_risk.model.features import Encoder, Matrix
from credit_risk.model.table import Columns
from credit_risk.training.applications import Applications
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import Outcomes, Probabilities, Rows, splits
from credit_risk.training.plan import Plan
from credit_risk.training.recipe import predict

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Ground:
    """n rows, with what a plan's trainings need."""

    applications: Applications
    default: Outcomes
    groups: Rows  # for each row the first equal one
    matrix: Matrix
    encoder: Encoder
    plan: Plan

    @classmethod
    def of(cls, dataset: Dataset, encoder: Encoder, plan: Plan) -> Self:
        """Take all rows of a data set or, because dozens of models are trained, MOST_ROWS of them by chance."""
        rows = np.arange(len(dataset))
        if len(rows) > MOST_ROWS:
            rows = np.sort(np.random.default_rng(plan.seed).choice(rows, MOST_ROWS, replace=False))
        _, first, number = np.unique(dataset.groups[rows], return_index=True, return_inverse=True)
        applications = dataset.applications.take(rows)
        matrix = encoder.encode_columns(applications.columns)
        return cls(applications, dataset.default[rows], first[number], matrix, encoder, plan)

    @property
    def columns(self) -> Columns:
        return self.applications.columns

    def splits(self, repeats: int) -> list[tuple[Rows, Rows]]:
        """Give the folds of the first repeats."""
        return list(splits(self.default, self.groups, self.plan.seed, self.plan.folds, repeats))

    def predict(
        self, fitted: Rows, held_out: Rows, *, seed: int | None = None, without: NDArray[np.bool_] | None = None
    ) -> Probabilities:
        """Train on some rows, with another `seed` or `without` some columns, and predict others."""
        matrix = self.matrix
        if without is not None:
            matrix = np.where(without, np.float32(0), matrix)  # a column that is constant is never split at
        plan = self.plan if seed is None else replace(self.plan, seed=seed)
        booster = plan.booster(matrix[fitted], self.default[fitted], self.encoder)
        return predict(booster, matrix[held_out])
