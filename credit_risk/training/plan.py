"""What a training is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import xgboost as xgb

from credit_risk.model.features import Encoder, Matrix
from credit_risk.training.evaluation import Outcomes
from credit_risk.training.parameters import Parameters
from credit_risk.training.recipe import train_booster


@dataclass(frozen=True)
class Plan:
    """How to train a model and to cross-validate it."""

    protected: bool  # whether age and marital status are features
    seed: int  # of the folds and the booster
    folds: int
    repeats: int
    threads: int  # boosters trained at once; changes no figure
    parameters: Mapping[str, Any]  # all of them, by XGBoost's names
    rounds: int

    @classmethod
    def of(
        cls, given: Parameters, *, protected: bool, seed: int, folds: int, repeats: int, threads: int | None
    ) -> Self:
        """Plan with the recipe, but for the parameters that were given. Without `threads`, all cores are used."""
        return cls(
            protected=protected,
            seed=seed,
            folds=folds,
            repeats=repeats,
            threads=threads or os.cpu_count() or 1,
            parameters=given.over_the_recipe(),
            rounds=given.rounds,
        )

    @property
    def trainings(self) -> int:
        """The number of folds over all repeats."""
        return self.repeats * self.folds

    def booster(self, matrix: Matrix, default: Outcomes, encoder: Encoder) -> xgb.Booster:
        """Train a booster on a matrix (n, features) and its outcomes (n,)."""
        return train_booster(matrix, default, encoder, seed=self.seed, parameters=self.parameters, rounds=self.rounds)
