"""The tutorial's design on today's BentoML: a legacy service, Pydantic validation, the model in a runner of its own."""

from __future__ import annotations

from typing import Any

import bentoml
from bentoml.io import JSON
from bentoml.legacy import Service

from bench.peers.shared import MODEL
from credit_risk.contract.application import CreditApplication
from credit_risk.model.features import features_of

model_ref = bentoml.models.get(MODEL)
dv = model_ref.custom_objects["DictVectorizer"]
model_runner = model_ref.to_runner()

svc = Service("credit_risk_tutorial", runners=[model_runner])


@svc.api(input=JSON(pydantic_model=CreditApplication), output=JSON())
async def classify(application: CreditApplication) -> dict[str, Any]:
    vector = dv.transform([features_of(application, protected=False)])
    [result] = await model_runner.predict.async_run(vector)
    # The tutorial answers the status alone.
    status = "DECLINED" if result > 0.5 else "MAYBE" if result > 0.3 else "APPROVED"
    return {"Status": status, "probability_of_default": round(float(result), 4), "model": str(model_ref.tag)}
