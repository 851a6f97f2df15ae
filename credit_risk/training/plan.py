"""What a training is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from credit_risk.training.evaluation import FOLDS, REPEATS
from credit_risk.training.recipe import PARAMETERS, ROUNDS


@dataclass(frozen=True)
class Plan:
    """How to train a model and to cross-validate it. The defaults are those of the recipe."""

    protected: bool = False  # whether age and marital status are features
    seed: int = 1  # of the folds and the booster
    folds: int = FOLDS
    repeats: int = REPEATS
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)  # boosters trained at once; changes no figure
    parameters: Mapping[str, Any] = field(default_factory=lambda: PARAMETERS)  # by XGBoost's names
    rounds: int = ROUNDS

    @property
    def trainings(self) -> int:
        """The number of folds over all repeats."""
        return self.repeats * self.folds
