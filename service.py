"""The credit-risk service: `bentoml serve`."""

from __future__ import annotations

import gc
import logging
import threading
from pathlib import Path
from typing import cast

import bentoml
from starlette.responses import Response

from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import Decision
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import data_source_of, load_model
from credit_risk.serving.bento import (
    ApplicationBody,
    ApplicationsBody,
    CreditRiskService,
    DecisionsBody,
    refuse_to_start_wrong,
    respond,
)
from credit_risk.serving.classifier import Classifier, Request
from credit_risk.serving.decider import Decider
from credit_risk.serving.decision_log import open_log
from credit_risk.serving.image import slim_image
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.serving.settings import load_settings

logger = logging.getLogger("bentoml.credit_risk")

with refuse_to_start_wrong():
    settings = load_settings()


@bentoml.service(
    name="credit_risk_classifier", service_class=CreditRiskService, image=slim_image(Path(__file__).with_name("deploy"))
)
class CreditRiskClassifier:
    """Decides credit applications: APPROVED, MAYBE or DECLINED, with the probability of default."""

    model = bentoml.models.BentoModel(settings.model)  # so that a bento holds it

    def __init__(self) -> None:
        metrics = Metrics()
        model = load_model(svc.settings.model)
        batching = svc.batching if model.batchable else svc.batching.model_copy(update={"enabled": False})
        self._log = open_log(svc.settings)
        policy, catalogue = load_policy(svc.settings.policy), load_catalogue(svc.settings.reasons)
        self._decider = Decider(model, policy, catalogue, self._log, metrics)
        self.classifier = Classifier(AdaptiveRunner(self._decider, batching, metrics), metrics)

    @bentoml.on_deployment
    def prepare() -> None:  # once, in the parent process, which has no instance
        svc.prepare()
        policy = load_policy(svc.settings.policy)
        logger.info("Serving %s with policy %s; batching: %s", svc.settings.model, policy.version, svc.batching)
        if data_source_of(svc.settings.model) == "synthetic":
            logger.warning("This model was trained on synthetic applications: for trying out, not for lending")
        logger.info("Decisions are recorded in: %s", svc.settings.decision_log)
        if keys := svc.settings.keys:
            logger.info("API keys are required; known: %s", ", ".join(keys))
        else:
            logger.info("No API keys are set: whoever reaches this port may ask")

    @bentoml.on_startup
    def warm_up(self) -> None:
        """Be as fast for the first caller as for the next, and spare the garbage collector what stays for good."""
        self._decider.warm_up()
        gc.freeze()  # its full passes over all that was imported would be the long tail of the latency
        gc.set_threshold(50_000, 20, 50)  # a request leaves few cycles behind; looking for them took a twentieth
        gc.enable()

    @bentoml.on_startup
    async def take_over_sigterm(self) -> None:
        if threading.current_thread() is threading.main_thread():  # not in a test's client
            svc.drain.take_over_sigterm()

    def __is_ready__(self) -> bool:
        return not svc.drain.draining and self._log.is_healthy()

    @bentoml.api(input_spec=ApplicationBody, output_spec=Decision)
    async def classify(self, request: Request, /) -> Response:
        """Decide one application."""
        return respond(await self.classifier.classify(request))

    @bentoml.api(input_spec=ApplicationsBody, output_spec=DecisionsBody)
    async def classify_batch(self, request: Request, /) -> Response:
        """Decide many applications, in order."""
        return respond(await self.classifier.classify_batch(request))


svc = cast("CreditRiskService[CreditRiskClassifier]", CreditRiskClassifier)  # what the decorator has made of the class
