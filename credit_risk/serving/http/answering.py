"""Sending an error as an answer."""

from __future__ import annotations

from starlette.types import Scope, Send

from credit_risk.contract.errors import RequestError
from credit_risk.serving.answers import refusal
from credit_risk.serving.request_ids import request_id_of


async def answer_error(error: RequestError, scope: Scope, send: Send) -> None:
    """Answer a request with an error."""
    status, headers, body = refusal(error, request_id(scope))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def request_id(scope: Scope) -> str:
    """Take the id that the caller gave the request, or make one."""
    return request_id_of(next((value for name, value in scope["headers"] if name == b"x-request-id"), None))
