"""The credit-risk service: `bentoml serve`."""

from __future__ import annotations

import bentoml
from starlette.responses import Response

from credit_risk.contract.decision import Decision
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import load_model
from credit_risk.serving.bento import (
    ApplicationBody,
    ApplicationsBody,
    CreditRiskService,
    DecisionsBody,
    refuse_to_start_wrong,
    respond,
)
from credit_risk.serving.classifier import Classifier
from credit_risk.serving.decider import Decider
from credit_risk.serving.runner import EmbeddedRunner
from credit_risk.serving.settings import load_settings

with refuse_to_start_wrong():
    settings = load_settings()


@bentoml.service(name="credit_risk_classifier", service_class=CreditRiskService)
class CreditRiskClassifier:
    """Decides credit applications: APPROVED, MAYBE or DECLINED, with the probability of default."""

    model = bentoml.models.BentoModel(settings.model)  # so that a bento holds it

    def __init__(self) -> None:
        settings = load_settings()  # again, for the full tag that the parent process pinned
        decider = Decider(load_model(settings.model), load_policy(settings.policy))
        self._classifier = Classifier(EmbeddedRunner(decider))

    @bentoml.api(input_spec=ApplicationBody, output_spec=Decision)
    async def classify(self, body: bytes, /) -> Response:
        """Decide one application."""
        return respond(await self._classifier.classify(body))

    @bentoml.api(input_spec=ApplicationsBody, output_spec=DecisionsBody)
    async def classify_batch(self, body: bytes, /) -> Response:
        """Decide many applications, in order."""
        return respond(await self._classifier.classify_batch(body))


svc: bentoml.Service[CreditRiskClassifier] = CreditRiskClassifier  # what the decorator has made of the class
