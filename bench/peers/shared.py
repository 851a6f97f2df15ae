"""What all peers have in common: the model out of the store, and the decision of one application."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import bentoml
import xgboost as xgb
from uuid_utils import uuid7

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision, score_of
from credit_risk.contract.policy import load_policy
from credit_risk.contract.warning import warnings_of
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel, load_model
from credit_risk.serving.settings import PROJECT

MODEL = os.environ.get("CREDIT_RISK_MODEL", "credit_risk_model:latest")
POLICY = load_policy(PROJECT / "policy.yaml")
VERSION = POLICY.version


@dataclass(frozen=True)
class InProcess:
    """The booster in the web server's process, called for each request: what one writes without a serving framework."""

    stored: StoredModel
    booster: xgb.Booster

    @classmethod
    def load(cls) -> InProcess:
        booster = bentoml.xgboost.load_model(MODEL)
        booster.set_param({"nthread": 1})  # more would fight over the cores and be slower
        return cls(load_model(MODEL), booster)

    def decide(self, applications: Sequence[CreditApplication]) -> list[Decision]:
        """The same answers as this service gives."""
        encoder = self.stored.encoder
        matrix = encoder.matrix([encoder.encode(application) for application in applications])
        margins = self.booster.inplace_predict(matrix, predict_type="margin").tolist()
        return [self._decision(*pair) for pair in zip(applications, margins, strict=True)]

    def _decision(self, application: CreditApplication, margin: float) -> Decision:
        probability = probability_of(margin)
        return Decision(
            Status=POLICY.decide(probability, application).status,
            probability_of_default=round(probability, 4),
            score=score_of(margin),
            reasons=[],  # it gives none
            warnings=warnings_of(application),
            decision_id=str(uuid7()),
            model=self.stored.tag,
            policy=VERSION,
        )
