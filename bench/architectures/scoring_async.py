"""The asynchronous scoring handler: FastAPI, aiohttp and redis.asyncio, for uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import redis.asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bench.architectures.handling import REDIS_URL, Asked, RequestRefusedError, model_urls
from bench.architectures.profiling import profile_asgi

TIMEOUT = aiohttp.ClientTimeout(total=30)
HEADERS = {"content-type": "application/json"}
# Requests wait for one of these; beyond the hundred connections that redis-py has by default, they would fail.
pool = redis.asyncio.BlockingConnectionPool.from_url(REDIS_URL, max_connections=100, timeout=30)
store = redis.asyncio.Redis.from_pool(pool)
urls = model_urls("http://127.0.0.1:8000/api/v1/ml/async/predict")


@asynccontextmanager
async def one_session(app: FastAPI) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)  # by default a hundred requests at a time, and the rest would queue here
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as app.state.session:
        yield
    await store.aclose()


app = FastAPI(lifespan=one_session)
profile_asgi(app, "async-handler")


@app.get("/api/v1/healthcheck")
async def health_check() -> dict[str, str]:
    return {"status": "OK"}


@app.post("/api/v1/ml/async/predict")
async def answer(request: Request) -> JSONResponse:
    """Wait for the feature store, then for all models at once; other requests go on meanwhile."""
    try:
        asked = Asked(await request.body())
        question = asked.for_models(await store.get(asked.key))
    except RequestRefusedError as error:
        return JSONResponse({"error": str(error)}, 422)
    replies = await asyncio.gather(*(_ask(request.app.state.session, url, question) for url in urls))
    if refused := [reply for reply in replies if reply[0] != 200]:
        return JSONResponse(refused[0][1], refused[0][0])
    return JSONResponse(asked.answer([content["detail"] for _, content in replies]))


async def _ask(session: aiohttp.ClientSession, url: str, question: bytes) -> tuple[int, dict[str, Any]]:
    async with session.post(url, data=question, headers=HEADERS) as reply:
        return reply.status, await reply.json()
