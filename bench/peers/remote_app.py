"""FastAPI that asks a model server for each request, over connections that are kept alive: what one writes first."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI
from uuid_utils import uuid7

from bench.peers.shared import MODEL, POLICY, VERSION
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision, score_of
from credit_risk.contract.warning import warnings_of
from credit_risk.model.store import load_model

URL = os.environ["MODEL_SERVER"] + "/infer"
stored = load_model(MODEL)


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    # MLServer closes a connection that has idled for 5 seconds. There may be as many connections as callers.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    async with aiohttp.ClientSession(connector=connector) as app.state.session:
        yield


app = FastAPI(lifespan=connected)


@app.post("/classify")
async def classify(application: CreditApplication) -> Decision:
    [row] = stored.encoder.matrix([stored.encoder.encode(application)]).tolist()
    data = [None if math.isnan(value) else value for value in row]
    body = {"inputs": [{"name": "rows", "datatype": "FP32", "shape": [1, len(data)], "data": data}]}
    async with app.state.session.post(URL, json=body) as response:
        probability = (await response.json())["outputs"][0]["data"][0]
    return Decision(
        Status=POLICY.decide(probability, application).status,
        probability_of_default=round(probability, 4),
        score=score_of(math.log(probability / (1 - probability))),
        reasons=[],  # it gives none
        warnings=warnings_of(application),
        decision_id=str(uuid7()),
        model=stored.tag,
        policy=VERSION,
    )
