"""A stand-in for a model server: it speaks the Open Inference Protocol (V2), sleeps if it is told to, and then scores.

It sleeps once for all rows of a request, for as long as the slower of two model APIs that are asked at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.architectures.predicting import draw_sleep, model
from bench.architectures.profiling import profile_asgi
from credit_risk.model import MODEL_NAME
from credit_risk.model.scorer import probability_of

LENGTH = "inference-header-content-length"  # of the JSON before the bytes of tensors
VERSION = model().tag.partition(":")[2]


async def server(_: Request) -> JSONResponse:
    return JSONResponse({"name": "stand-in", "version": "1", "extensions": ["binary_tensor_data"]})


async def metadata(_: Request) -> JSONResponse:
    inputs = [{"name": "features", "datatype": "FP32", "shape": [-1, len(model().encoder.names)]}]
    outputs = [{"name": "predict", "datatype": "FP32", "shape": [-1, 1]}]
    described = {
        "name": MODEL_NAME,
        "versions": [VERSION],
        "platform": "stand-in",
        "inputs": inputs,
        "outputs": outputs,
    }
    return JSONResponse(described)


async def ready(_: Request) -> Response:
    return JSONResponse({"name": MODEL_NAME, "ready": True})


async def infer(request: Request) -> Response:
    """Answer with a tensor of probabilities of default, in bytes if it was asked for bytes."""
    body = await request.body()
    head = int(request.headers.get(LENGTH, len(body)))
    asked = json.loads(body[:head])
    tensor = asked["inputs"][0]
    given = np.frombuffer(body[head:], np.float32) if head < len(body) else np.array(tensor["data"], np.float32)
    matrix = given.reshape(tensor["shape"])
    if seconds := max(draw_sleep(), draw_sleep()):
        await asyncio.sleep(seconds)
    probabilities = [probability_of(margin) for margin in model().scorer.margins(matrix).tolist()]
    return _answer(probabilities, in_bytes=_wants_bytes(asked))


def _answer(probabilities: Sequence[float], *, in_bytes: bool) -> Response:
    output: dict[str, Any] = {"name": "predict", "datatype": "FP32", "shape": [len(probabilities), 1]}
    answer = {"model_name": MODEL_NAME, "model_version": VERSION, "outputs": [output]}
    if not in_bytes:
        output["data"] = probabilities
        return JSONResponse(answer)
    tensor = np.array(probabilities, np.float32).tobytes()
    output["parameters"] = {"binary_data_size": len(tensor)}
    head = json.dumps(answer).encode()
    return Response(head + tensor, media_type="application/octet-stream", headers={LENGTH: str(len(head))})


def _wants_bytes(asked: dict[str, Any]) -> bool:
    everywhere = asked.get("parameters", {}).get("binary_data_output", False)
    return bool(everywhere or any(o.get("parameters", {}).get("binary_data") for o in asked.get("outputs", [])))


BASES = (f"/v2/models/{MODEL_NAME}", f"/v2/models/{MODEL_NAME}/versions/{VERSION}")
app = Starlette(
    routes=[
        Route("/v2", server),
        *(Route(base, metadata) for base in BASES),
        *(Route(f"{base}/ready", ready) for base in BASES),
        *(Route(f"{base}/infer", infer, methods=["POST"]) for base in BASES),
    ]
)
profile_asgi(app, "model-server")
