"""The synchronous model API: Flask, for gunicorn with threads."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask, request

from bench.architectures.predicting import NoApplicationError, draw_sleep, model, predict
from bench.architectures.profiling import profile_wsgi

app = Flask(__name__)
model()
profile_wsgi(app, "sync-model")


@app.get("/api/v1/healthcheck")
def health_check() -> dict[str, str]:
    return {"status": "OK"}


@app.post("/api/v1/ml/sync/predict")
def answer() -> dict[str, float] | tuple[dict[str, Any], int]:
    seconds = draw_sleep()
    if seconds:
        time.sleep(seconds)
    try:
        return {"detail": predict(request.get_data(), seconds)}
    except NoApplicationError as error:
        return {"error": str(error)}, 422
