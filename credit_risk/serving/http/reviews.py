"""The routes of reviews and outcomes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.record.events import Recorded
from credit_risk.serving.http.access import OTHER_LIMIT
from credit_risk.serving.http.answering import request_id
from credit_risk.serving.http.body_reader import read_body
from credit_risk.serving.http.errors import OneErrorBody
from credit_risk.serving.http.handlers import HANDLERS
from credit_risk.serving.reviews import ReviewDesk
from credit_risk.serving.routes import DECISIONS

IS_ONE = re.compile(rf"{DECISIONS}/[^/]+/(review|outcome)").fullmatch
NOT_ANSWERED = {"schema_version", "request_id", "caller", "service"}
Take = Callable[[str, bytes, str | None, str], Awaitable[Recorded]]


class Reviews:
    """An ASGI application in front of another. It answers what is about reviews and outcomes."""

    def __init__(self, app: ASGIApp, desk: ReviewDesk) -> None:
        self._app = app
        one = f"{DECISIONS}/{{decision_id}}"
        routes = [
            Route(f"{one}/review", self._taking(desk.review), methods=["POST"]),
            Route(f"{one}/outcome", self._taking(desk.outcome), methods=["POST"]),
        ]
        self._routes = OneErrorBody(Starlette(routes=routes, exception_handlers=HANDLERS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and IS_ONE(scope["path"]):
            await self._routes(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    @staticmethod
    def _taking(take: Take) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            body, id_of_request = await read_body(request.receive, OTHER_LIMIT), request_id(request.scope)
            recorded = await take(
                request.path_params["decision_id"], body or b"", request.scope.get("caller"), id_of_request
            )
            return Response(
                recorded.line.model_dump_json(exclude=NOT_ANSWERED),
                HTTPStatus.CREATED if recorded.is_new else HTTPStatus.OK,
                {"x-request-id": id_of_request},
                "application/json",
            )

        return answer
