"""The synchronous scoring handler: Flask, requests and redis, for gunicorn with threads."""

from __future__ import annotations

import threading
from typing import Any, cast

import redis
import requests
from flask import Flask, request

from bench.architectures.handling import REDIS_URL, Asked, RequestRefusedError, model_urls
from bench.architectures.profiling import profile_wsgi

SECONDS = 30  # that an answer of a model may take
HEADERS = {"content-type": "application/json"}
app = Flask(__name__)
store = redis.Redis.from_url(REDIS_URL, max_connections=1000)  # as many threads as there may be
urls = model_urls("http://127.0.0.1:5000/api/v1/ml/sync/predict")
of_thread = threading.local()
profile_wsgi(app, "sync-handler")


def session() -> requests.Session:
    """Give the session of this thread: sessions are not safe to share."""
    if not hasattr(of_thread, "session"):
        of_thread.session = requests.Session()
        of_thread.session.trust_env = False  # looking for proxies costs more than the request
    return cast("requests.Session", of_thread.session)


@app.get("/api/v1/healthcheck")
def health_check() -> dict[str, str]:
    return {"status": "OK"}


@app.post("/api/v1/ml/sync/predict")
def answer() -> dict[str, Any] | tuple[dict[str, Any], int]:
    """Wait for the feature store, then for one model after the other."""
    try:
        asked = Asked(request.get_data())
        question = asked.for_models(cast("bytes | None", store.get(asked.key)))
    except RequestRefusedError as error:
        return {"error": str(error)}, 422
    replies = [session().post(url, data=question, headers=HEADERS, timeout=SECONDS) for url in urls]
    if refused := [reply for reply in replies if reply.status_code != 200]:
        return refused[0].json(), refused[0].status_code
    return asked.answer([reply.json()["detail"] for reply in replies])
