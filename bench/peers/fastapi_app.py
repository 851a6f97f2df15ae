"""FastAPI, the model in process: `app` without batching, `batched` with this project's runner."""

from __future__ import annotations

from fastapi import FastAPI, Response

from bench.peers.shared import POLICY, InProcess
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import Decision
from credit_risk.deciding.decided import Origin
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.log import NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.serving.batching import Batching
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.serving.settings import PROJECT

ANYBODY = Origin("", None)
model = InProcess.load()
metrics = Metrics()
renderer = Renderer(model.stored, POLICY, load_catalogue(PROJECT / "reasons.yaml"), release="")
terms = always(Terms(POLICY, renderer))
decider = Decider(model.stored.encoder, InProcessScoring(model.stored), terms, NoLog())
runner = AdaptiveRunner(decider, Batching(), metrics)
app, batched = FastAPI(), FastAPI()


@app.post("/classify")
async def classify(application: CreditApplication) -> Decision:
    return model.decide([application])[0]


@app.post("/classify_batch")
def classify_batch(applications: list[CreditApplication]) -> list[Decision]:
    """In a thread, as FastAPI does it for long work; scored together, as anybody would."""
    return model.decide(applications)


@batched.post("/classify")
async def classify_batched(application: CreditApplication) -> Response:
    decided = await runner.run(application, ANYBODY)
    return Response(renderer.answer(decided), media_type="application/json")
