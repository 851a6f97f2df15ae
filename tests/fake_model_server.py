"""A model server that can be made to do what a real one can't: it speaks V2 over HTTP, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel

HEAD_LENGTH = "Inference-Header-Content-Length"
Values = NDArray[np.float32]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeModelServer:
    """Serves a model. What it does can be changed while it runs."""

    model: StoredModel
    name: str = "credit_risk_model"
    version: str = ""
    features: int = 0
    datatype: str = "FP32"
    extensions: list[str] = field(default_factory=list)
    gives_margins: bool = False
    ready: int = 200
    port: int = 0
    reads: Callable[[Values], Values] = lambda matrix: matrix  # rows, before they are scored
    gives: Callable[[Values], Any] = lambda values: values.tolist()  # what it answers for the scores of rows
    answers: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    infers: Handler | None = None  # in place of an answer, to rows that are no probe
    rows: list[int] = field(default_factory=list)  # of each request
    binary: list[bool] = field(default_factory=list)  # requests
    authorization: list[str | None] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.version = self.version or self.model.version
        self.features = self.features or len(self.model.encoder.names)

    @property
    def address(self) -> str:
        return f"v2+http://127.0.0.1:{self.port}/v2/models/{self.name}"

    async def infer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections.add(request.transport)
        self.authorization.append(request.headers.get("Authorization"))
        length = request.headers.get(HEAD_LENGTH)
        head = json.loads(body[: int(length)] if length else body)
        [tensor] = head["inputs"]
        self.rows.append(tensor["shape"][0])
        self.binary.append(length is not None)
        if self.infers is not None:
            return await self.infers(request)
        numbers = np.frombuffer(body[int(length) :], "<f4") if length else np.array(tensor["data"], dtype=np.float32)
        matrix = self.reads(numbers.reshape(tensor["shape"]).copy())
        values = self.model.scorer.margins(matrix)
        if not self.gives_margins:
            values = np.array([probability_of(margin) for margin in values.tolist()], dtype=np.float32)
        output: dict[str, Any] = {"name": "predict", "shape": [len(values), 1], "datatype": "FP32"}
        content = b""
        if length:
            content = values.tobytes()
            output["parameters"] = {"binary_data_size": len(content)}
        else:
            output["data"] = self.gives(values)
        answer = {"model_name": self.name, "model_version": self.version, "outputs": [output]}
        text = json.dumps(self.answers(answer)).encode()
        return web.Response(body=text + content, headers={HEAD_LENGTH: str(len(text))} if length else {})

    async def metadata(self, request: web.Request) -> web.Response:  # noqa: ARG002
        inputs = [{"name": "rows", "datatype": self.datatype, "shape": [-1, self.features]}]
        return web.json_response({"name": self.name, "versions": [], "platform": "", "inputs": inputs})

    async def server(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.json_response({"name": "fake", "version": "1", "extensions": self.extensions})

    async def is_ready(self, request: web.Request) -> web.Response:
        return web.Response(status=self.ready if request.match_info["name"] == self.name else 404)

    @contextmanager
    def running(self) -> Iterator[FakeModelServer]:
        """Serve, on the port that is set or on a free one."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        app = web.Application(client_max_size=2**26)
        path = "/v2/models/{name}{version:(/versions/[^/]+)?}"
        app.router.add_get("/v2", self.server)
        app.router.add_get(path + "/ready", self.is_ready)
        app.router.add_get(path, self.metadata)
        app.router.add_post(path + "/infer", self.infer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        try:
            asyncio.run_coroutine_threadsafe(self._start(runner), loop).result()
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(runner), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self, runner: web.AppRunner) -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]

    async def _stop(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # handlers that stall
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
