"""The model card: what a model is for, how good it is, and its limits, as JSON and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from credit_risk.contract.policy import Policy
from credit_risk.model.features import MONOTONE
from credit_risk.training.data import KNOWN_FILES
from credit_risk.training.fairness import MIN_GROUP, Fairness
from credit_risk.training.figures import Economics, Sample, SampleFigures, mean_absolute
from credit_risk.training.plots import draw_plots
from credit_risk.training.validation import Validation


@dataclass(frozen=True)
class Identity:
    """What differs between two models that the same training gave."""

    tag: str  # once the model is released
    trained: str  # date and time


@dataclass(frozen=True)
class ModelCard:
    """The content of the card. But for `identity`, the same training gives the same bytes."""

    identity: Identity
    booster_sha256: str
    training: dict[str, Any]  # data, parameters and figures, as in the model's metadata
    known_data: bool  # the public data set, or the synthetic rows that resemble it
    features: dict[str, int]  # constraint of each, as in MONOTONE
    policy: dict[str, Any]
    economics: dict[str, float]
    test: SampleFigures  # of the saved booster, on rows that it never saw
    out_of_fold: SampleFigures  # of the recipe: each row by a booster that never saw it
    contributions: dict[str, float]  # mean absolute, in points of the score
    validation: Validation
    fairness: Fairness  # of the out-of-fold predictions

    @classmethod
    def of(
        cls,
        metadata: dict[str, Any],
        *,
        tag: str,
        trained: datetime,
        booster_sha256: str,
        features: Sequence[str],
        policy: Policy,
        test: Sample,
        out_of_fold: Sample,
        contributions: Mapping[str, NDArray[Any]],
        economics: Economics,
        validation: Validation,
    ) -> Self:
        """Make the card of a model.

        `metadata` is what the model is saved with, and `features` are the encoder's names. `out_of_fold` is one repeat
        of the cross-validation. `contributions` hold each group's share in the log odds of the test rows, (n,).
        """
        return cls(
            identity=Identity(tag, trained.isoformat(timespec="seconds")),
            booster_sha256=booster_sha256,
            training=metadata,
            known_data=metadata["data_sha256"] in KNOWN_FILES,
            features={name: MONOTONE.get(name, 0) for name in features},
            policy={"version": policy.version, **policy.model_dump()},
            economics={**asdict(economics), "break_even": economics.break_even},
            test=SampleFigures.of(test, policy, economics),
            out_of_fold=SampleFigures.of(out_of_fold, policy, economics),
            contributions=mean_absolute(contributions),
            validation=validation,
            fairness=Fairness.of(out_of_fold, policy),
        )

    def to_json(self) -> str:
        """Render the card for programs. Rates and probabilities are shares, not percentages; null is unknown."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Render the card for people, as a page without scripts that loads nothing from the network."""
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
        environment.filters["percent"] = lambda rate: "none" if rate is None else f"{100 * rate:.1f}\u00a0%"
        template = environment.from_string(Path(__file__).with_name("card.html.j2").read_text(encoding="utf-8"))
        return template.render(card=self, plots=draw_plots(self), min_group=MIN_GROUP)
