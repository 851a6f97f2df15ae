"""Lets pages of other origins ask from a browser (CORS): those that a setting names, and no others."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from credit_risk.contract.errors import error_body

# The headers that a page may read, if an answer has them, besides those that every page may.
EXPOSED = ("X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed")


class CrossOrigin(CORSMiddleware):
    """An ASGI application in front of access control, because a preflight has no `Authorization` yet."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-Request-Id", "Idempotency-Key"),
            expose_headers=EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; a refusal has the contract's body."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        refusal = Response(error_body(bytes(response.body).decode()), response.status_code)
        refusal.headers.update({**response.headers, **refusal.headers, "content-type": "application/json"})
        return refusal
