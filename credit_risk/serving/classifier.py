"""From the bytes of a request to the bytes of its answer, errors included: what every way in shares."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from pydantic import TypeAdapter

from credit_risk.contract.body import parse_application, parse_applications
from credit_risk.contract.decision import Decision
from credit_risk.contract.errors import RequestError, error_body
from credit_risk.serving.runner import Runner

logger = logging.getLogger("credit_risk")

_decisions = TypeAdapter(list[Decision])


class Answer(NamedTuple):
    """What goes back to the caller, always as JSON."""

    status: HTTPStatus
    body: bytes


class Classifier:
    """Answers requests for decisions."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def classify(self, body: bytes) -> Answer:
        """The answer to one application, a JSON object."""
        return await _answered(self._classify, body)

    async def classify_batch(self, body: bytes) -> Answer:
        """The answer to many applications, a JSON array: their decisions in the same order."""
        return await _answered(self._classify_batch, body)

    async def _classify(self, body: bytes) -> bytes:
        decision = await self._runner.run(parse_application(body))
        return decision.model_dump_json().encode()

    async def _classify_batch(self, body: bytes) -> bytes:
        return _decisions.dump_json(await self._runner.run_batch(parse_applications(body)))


async def _answered(answer: Callable[[bytes], Awaitable[bytes]], body: bytes) -> Answer:
    try:
        return Answer(HTTPStatus.OK, await answer(body))
    except RequestError as error:
        return Answer(error.status, error.body)
    except Exception as error:
        # The message may hold what the applicant sent, and so may the locals: the type and the lines must do.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s while answering a request\n%s", type(error).__name__, where)
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, error_body("The service failed; the request was not decided"))
