"""From a request to its answer, errors included: what every way in shares."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import perf_counter
from typing import NamedTuple

from uuid_utils import uuid7

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.body import parse_application, parse_in_parts
from credit_risk.contract.errors import RequestError, UnavailableError, error_body
from credit_risk.serving.decider import Origin
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner

logger = logging.getLogger("credit_risk")

RETRY_AFTER = b"1"  # seconds: an overload of the queue is over sooner
Headers = list[tuple[bytes, bytes]]


class Request(NamedTuple):
    """What is needed of a request for a decision."""

    body: bytes
    request_id: bytes | None  # the caller's, if it sent one
    caller: str | None  # name of its API key
    begun: float  # perf_counter


class Answer(NamedTuple):
    """What goes back to the caller, always as JSON."""

    status: HTTPStatus
    headers: Headers
    body: bytes


class Classifier:
    """Answers requests for decisions."""

    def __init__(self, runner: AdaptiveRunner, metrics: Metrics) -> None:
        self._runner = runner
        self.metrics = metrics

    async def classify(self, request: Request) -> Answer:
        """The answer to one application, a JSON object."""
        return await self._answer("/classify", self._classify, request)

    async def classify_batch(self, request: Request) -> Answer:
        """The answer to many applications, a JSON array: their decisions in the same order."""
        return await self._answer("/classify_batch", self._classify_batch, request)

    async def _classify(self, body: bytes, origin: Origin) -> bytes:
        begun = perf_counter()
        application = parse_application(body)
        self.metrics.stage_seconds["validate"] += perf_counter() - begun
        return await self._runner.run(application, origin)

    async def _classify_batch(self, body: bytes, origin: Origin) -> bytes:
        parts: deque[list[CreditApplication]] = deque()  # none is decided before all are known to be valid
        begun = perf_counter()
        for part in parse_in_parts(body):
            parts.append(part)
            self.metrics.stage_seconds["validate"] += perf_counter() - begun
            await asyncio.sleep(0)  # single requests in between
            begun = perf_counter()
        return b"[" + b",".join(await self._runner.run_many(parts, origin)) + b"]"

    async def _answer(
        self, route: str, decide: Callable[[bytes, Origin], Awaitable[bytes]], request: Request
    ) -> Answer:
        status = HTTPStatus.OK
        origin = Origin(_request_id(request), request.caller)
        headers = [(b"content-type", b"application/json"), (b"x-request-id", origin.request_id.encode())]
        try:
            body = await decide(request.body, origin)
        except RequestError as error:
            status, body = error.status, error.body
            if isinstance(error, UnavailableError):
                headers.append((b"retry-after", RETRY_AFTER))
        except Exception as error:
            # The message may hold what the applicant sent, and so may the locals: the type and the lines must do.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("%s while answering a request\n%s", type(error).__name__, where)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body = error_body("The service failed; the request was not decided")
        headers.append((b"content-length", b"%d" % len(body)))
        self.metrics.answered(route, status, perf_counter() - request.begun)
        return Answer(status, headers, body)


def _request_id(request: Request) -> str:
    """The caller's id of the request where it is fit for a log, else a new one."""
    given = request.request_id
    if given is not None and 0 < len(given) <= 128 and given.isascii() and given.decode().isprintable():
        return given.decode()
    return str(uuid7())
