"""How many decisions depend on chance: on the booster's seed, and on which applicants happened to be in the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.decision import Status
from credit_risk.contract.policy import Policy
from credit_risk.training.evaluation import holdout_split
from credit_risk.training.figures import Sample, decide
from credit_risk.training.ground import Ground
from credit_risk.training.parallel import in_threads

REFITS = 10  # of each kind
TRAININGS = 2 * REFITS + 1


@dataclass(frozen=True)
class Changes:
    """The share of decisions that differ from the model's own when it is trained again, over several trainings."""

    mean: float
    least: float
    most: float
    reversed: float  # mean share of those that go from APPROVED to DECLINED or back

    @classmethod
    def of(cls, own: list[Status], others: Iterable[list[Status]]) -> Self:
        pairs: list[tuple[NDArray[np.str_], NDArray[np.str_]]] = [(np.array(own), np.array(other)) for other in others]
        changed = [float((before != after).mean()) for before, after in pairs]
        reversals = [(before != after) & (before != "MAYBE") & (after != "MAYBE") for before, after in pairs]
        return cls(float(np.mean(changed)), min(changed), max(changed), float(np.mean(reversals)))


@dataclass(frozen=True)
class Stability:
    """What changes on the n held-out rows, when the model is trained on the rows that it was trained on."""

    n: int
    refits: int  # of each kind
    seed: Changes  # with other seeds
    rows: Changes  # with as many of the rows, drawn with replacement


def stability(ground: Ground, policy: Policy, advance: Callable[[], None]) -> Stability:
    """Train the model again 2 x REFITS times."""
    fitted, held_out = holdout_split(ground.default, ground.groups, ground.plan.seed)
    applications, default = ground.applications.take(held_out), ground.default[held_out]

    def decisions(refit: int) -> list[Status]:
        """The model's own for 0, then those of other seeds, then those of other rows."""
        seed, rows = ground.plan.seed, fitted
        if 0 < refit <= REFITS:
            seed += refit
        elif refit:
            rows = np.random.default_rng([ground.plan.seed, refit]).choice(fitted, len(fitted))
        probability = ground.predict(rows, held_out, seed=seed)
        advance()
        return decide(policy, Sample(applications, default, probability))

    own, *others = in_threads(ground.plan.threads, decisions, range(TRAININGS))
    return Stability(len(held_out), REFITS, Changes.of(own, others[:REFITS]), Changes.of(own, others[REFITS:]))
