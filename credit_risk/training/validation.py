"""What a validator asks of a model: other models on the same folds, intervals, stability and alternatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from credit_risk.contract.policy import Policy
from credit_risk.model.features import Encoder
from credit_risk.training import alternatives, stability
from credit_risk.training.alternatives import Search, search
from credit_risk.training.benchmarks import BENCHMARKS
from credit_risk.training.calibration import Recalibration
from credit_risk.training.data import Dataset
from credit_risk.training.evaluation import CrossValidation, Probabilities, Rows
from credit_risk.training.ground import Ground
from credit_risk.training.pipeline import Trained
from credit_risk.training.plan import Plan
from credit_risk.training.resampling import Bootstrap, Interval, bootstrap, gain
from credit_risk.training.stability import Stability

TUTORIAL = "the tutorial's model"


@dataclass(frozen=True)
class Comparison:
    """Another model, cross-validated on the same folds."""

    name: str
    auc: float
    calibration_slope: float
    ece: float
    gain: Interval  # of this model's AUC over that one's

    @classmethod
    def of(cls, name: str, this: CrossValidation, other: CrossValidation, plan: Plan) -> Self:
        mean = other.mean
        return cls(name, mean.auc, mean.calibration_slope, mean.ece, gain(this.aucs, other.aucs, plan.folds))


@dataclass(frozen=True)
class Validation:
    n: int  # the rows of all but the tutorial's model, the recalibration and the bootstrap
    comparisons: list[Comparison]
    recalibration: Recalibration  # of the first repeat's predictions, as is the bootstrap
    bootstrap: Bootstrap
    stability: Stability
    search: Search


def steps(trained: Trained, plan: Plan) -> int:
    """Count how often `validate` calls `advance`."""
    names = Encoder.of(trained.vectorizer).names
    return len(BENCHMARKS) + 1 + stability.TRAININGS + alternatives.trainings(names, plan)


def validate(trained: Trained, dataset: Dataset, policy: Policy, plan: Plan, advance: Callable[[], None]) -> Validation:
    """Compare a trained model, resample its predictions, and train it again with other seeds, rows and fields."""
    ground = Ground.of(dataset, Encoder.of(trained.vectorizer), plan)
    folds = ground.splits(plan.repeats)

    def evaluated(predict: Callable[[Rows, Rows], Probabilities]) -> CrossValidation:
        predicted = [(held_out, predict(fitted, held_out)) for fitted, held_out in folds]
        repeats = [predicted[start : start + plan.folds] for start in range(0, len(folds), plan.folds)]
        return CrossValidation.of(ground.default, repeats)

    own = trained.cross_validation if len(ground.default) == len(dataset) else evaluated(ground.predict)
    comparisons = []
    for name, benchmark in BENCHMARKS.items():  # one at a time: linear algebra is on all cores already
        fit = partial(benchmark, ground.columns, ground.default)
        comparisons.append(Comparison.of(name, own, evaluated(fit), plan))
        advance()
    comparisons.append(Comparison.of(TUTORIAL, trained.cross_validation, trained.tutorial, plan))
    sample = trained.out_of_fold
    intervals = bootstrap(sample.default, sample.probability, seed=plan.seed)
    advance()
    return Validation(
        len(ground.default),
        comparisons,
        Recalibration.of(sample.default, sample.probability),
        intervals,
        stability.stability(ground, policy, advance),
        search(ground, policy, advance),
    )
