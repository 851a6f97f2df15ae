"""What all peers have in common: the model out of the store, and the decision of one application."""

from __future__ import annotations

import os
from dataclasses import dataclass

import bentoml
import xgboost as xgb

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import StoredModel, load_model
from credit_risk.serving.settings import PROJECT

MODEL = os.environ.get("CREDIT_RISK_MODEL", "credit_risk_model:latest")
POLICY = load_policy(PROJECT / "policy.yaml")


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

    def decide(self, application: CreditApplication) -> dict[str, object]:
        encoder = self.stored.scorer.encoder
        matrix = encoder.matrix([encoder.encode(application)])
        probability = float(self.booster.inplace_predict(matrix)[0])
        status = POLICY.decide(probability, application)
        return {"Status": status, "probability_of_default": round(probability, 4), "model": self.stored.tag}
