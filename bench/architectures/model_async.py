"""The asynchronous model API: FastAPI, for uvicorn."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bench.architectures.predicting import NoApplicationError, draw_sleep, model, predict
from bench.architectures.profiling import profile_asgi

app = FastAPI()
model()
profile_asgi(app, "async-model")


@app.get("/api/v1/healthcheck")
async def health_check() -> dict[str, str]:
    return {"status": "OK"}


@app.post("/api/v1/ml/async/predict")
async def answer(request: Request) -> JSONResponse:
    seconds = draw_sleep()
    if seconds:
        await asyncio.sleep(seconds)
    try:
        return JSONResponse({"detail": predict(await request.body(), seconds)})
    except NoApplicationError as error:
        return JSONResponse({"error": str(error)}, 422)
