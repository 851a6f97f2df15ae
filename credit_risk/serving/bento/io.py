"""Requests and answers as BentoML's endpoints take and give them."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from _bentoml_sdk.io_models import IOMixin, IORootModel
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.customer import Reference
from credit_risk.contract.decision import Decision
from credit_risk.serving.answers import Answer
from credit_risk.serving.bento.tracing import recorded_span
from credit_risk.serving.endpoints import Request
from credit_risk.serving.request_ids import request_id_of


class _RawBody(IOMixin):
    """An input that reaches the endpoint as it came. If BentoML parsed it, an invalid body would be in its log."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: HTTPRequest, serde: Any) -> Any:  # noqa: ARG003 - BentoML's signature
        request_id = _encoded(request.headers.get("x-request-id") or None)
        caller = request.scope.get("caller")
        body = await request.body()
        begun = request.scope.get("arrived") or perf_counter()
        key = request.headers.get("idempotency-key")
        span = recorded_span()
        if span is not None:
            request.scope["span"] = span
            request_id = request_id_of(request_id).encode()
            span.set_attribute("request_id", request_id.decode())
        return Request(body, request_id, caller, begun, _encoded(key), request.scope)


def _encoded(header: str | None) -> bytes | None:
    return None if header is None else header.encode("latin-1")


class ReferencedApplication(CreditApplication):
    """An application with the lender's own id of it."""

    reference: Reference | None = None


class ApplicationBody(_RawBody, ReferencedApplication):
    """The body of /classify."""


class ApplicationsBody(_RawBody, IORootModel[list[ReferencedApplication]]):
    """The body of /classify_batch."""


class ArrayBody(_RawBody, IORootModel[list[Any]]):
    """The body of /classify_array: what NumpyNdarray of earlier versions of BentoML took."""


class TableBody(_RawBody, IORootModel[Any]):
    """The body of /classify_table: what PandasDataFrame took. BentoML's own type of today would need pandas."""


class DecisionsBody(IORootModel[list[Decision]]):
    """The answer of /classify_batch and /classify_table."""


class DecisionOrDecisionsBody(IORootModel[Decision | list[Decision]]):
    """The answer of /classify_array: one decision for one row alone."""


def respond(answer: Answer) -> Response:
    """Make a response that BentoML passes on untouched."""
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response
