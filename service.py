"""The credit-risk service. Start it with `bentoml serve`."""

from __future__ import annotations

from typing import cast

import bentoml
from starlette.responses import Response

from credit_risk.contract.decision import Decision
from credit_risk.model.decoding import Decoder
from credit_risk.serving.bento import garbage
from credit_risk.serving.bento.configuration import SERVICE
from credit_risk.serving.bento.io import (
    ApplicationBody,
    ApplicationsBody,
    ArrayBody,
    DecisionOrDecisionsBody,
    DecisionsBody,
    TableBody,
    respond,
)
from credit_risk.serving.bento.service import CreditRiskService
from credit_risk.serving.endpoints import Endpoints, Request
from credit_risk.serving.job_metrics import watch_jobs
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.reviews import paths_of_reviews
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.serving.scoring import open_model_server


@bentoml.service(name=SERVICE, service_class=CreditRiskService)
class CreditRiskClassifier:
    """Decides credit applications: APPROVED, MAYBE or DECLINED, with the probability of default and the reasons."""

    def __init__(self) -> None:
        startup, metrics = (
            svc.startup,
            Metrics(svc.paths | watch_jobs(svc.startup.settings) | paths_of_reviews(svc.startup.settings)),
        )
        svc.tell_what_is_in_use(metrics)
        self._log = startup.log
        self._model_server = open_model_server(startup.settings, startup.model)
        self._decider = startup.decider(svc.current.terms, self._model_server)
        runner = AdaptiveRunner(self._decider, startup.batching, metrics)
        decoder = Decoder(startup.model.encoder.names)
        on_file = svc.current.on_file if startup.features else None
        self.endpoints = Endpoints(
            runner,
            metrics,
            decoder,
            on_file,
            once=startup.once(svc.current.terms),
            server_timing=startup.settings.server_timing,
        )

    @bentoml.on_deployment
    def prepare() -> None:  # called once, in the parent process, which has no instance
        svc.prepare()

    @bentoml.on_startup
    async def warm_up(self) -> None:
        """Answer the first caller as fast as the next."""
        await self._decider.warm_up()
        svc.current.follow_always()
        garbage.settle()

    @bentoml.on_startup
    async def drain_on_sigterm(self) -> None:
        svc.drain_on_sigterm()

    @bentoml.on_shutdown
    def close_log(self) -> None:
        self._log.close()

    @bentoml.on_shutdown
    async def close_model_server(self) -> None:
        if self._model_server:
            await self._model_server.close()

    def __is_ready__(self) -> bool:
        scores = self._model_server is None or self._model_server.is_ready
        return scores and not svc.drain.draining and self._log.is_healthy()

    @bentoml.api(input_spec=ApplicationBody, output_spec=Decision)
    async def classify(self, request: Request, /) -> Response:
        """Decide one application."""
        return respond(await self.endpoints.classify(request))

    @bentoml.api(input_spec=ApplicationsBody, output_spec=DecisionsBody)
    async def classify_batch(self, request: Request, /) -> Response:
        """Decide many applications, in order."""
        return respond(await self.endpoints.classify_batch(request))

    @bentoml.api(input_spec=ArrayBody, output_spec=DecisionOrDecisionsBody)
    async def classify_array(self, request: Request, /) -> Response:
        """Decide a row of numbers in the order of the model's features, or an array of rows, in order."""
        return respond(await self.endpoints.classify_array(request))

    @bentoml.api(input_spec=TableBody, output_spec=DecisionsBody)
    async def classify_table(self, request: Request, /) -> Response:
        """Decide the rows of a table as pandas writes it, or of CSV, in order."""
        return respond(await self.endpoints.classify_table(request))


svc = cast("CreditRiskService[CreditRiskClassifier]", CreditRiskClassifier)  # what the decorator made of the class
