"""Errors as answers of Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from credit_risk.contract.errors import FailedError, NotFoundError, RequestError, error_body
from credit_risk.serving.answers import refusal
from credit_risk.serving.http.answering import request_id


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    status, headers, body = refusal(error, request_id(request.scope))
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return await _refused(request, NotFoundError())
    body = error_body(HTTPStatus(error.status_code).phrase)
    return Response(body, error.status_code, error.headers, "application/json")


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - it is logged where it arrives
    return await _refused(request, FailedError())


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestError: _refused,
    HTTPException: _unknown,
    Exception: _failed,
}
