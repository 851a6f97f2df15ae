"""FastAPI that asks Redis for each request: what one writes first."""

from __future__ import annotations

import json
import os
from typing import Any

import redis.asyncio
from fastapi import FastAPI, HTTPException, Request

from bench.peers.shared import InProcess
from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision
from credit_risk.deciding.feature_store import unpack
from credit_risk.deciding.redis_store import CURRENT, key_of

model = InProcess.load()
url = os.environ["STORE"]
with redis.Redis.from_url(url) as _client:
    current: Any = _client.get(CURRENT)
generation = current.decode()
# Requests wait for one of these; beyond redis-py's own limit of a hundred they would fail.
store = redis.asyncio.Redis.from_pool(
    redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=64, timeout=30)
)
app = FastAPI()


@app.post("/classify")
async def classify(request: Request) -> Decision:
    sent: dict[str, Any] = json.loads(await request.body())
    packed: Any = await store.get(key_of(generation, sent.pop("customer")))
    profile = unpack(packed)
    if profile is None:
        raise HTTPException(422)
    fields = {name: value for values in profile.values.values() for name, value in values.items()}
    return model.decide([CreditApplication.model_validate(fields | sent)])[0]
