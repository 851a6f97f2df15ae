"""The routes of jobs. They stand beside BentoML's, because files come and go in pieces, and some answers take long."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.conflicts import ConflictError
from credit_risk.contract.customer import Referenced
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.parsing import parse_asked
from credit_risk.jobs.files import REJECTS
from credit_risk.jobs.job import Job
from credit_risk.jobs.signature import Secret
from credit_risk.serving.http.access import BODY_LIMITS
from credit_risk.serving.http.body_reader import read_body
from credit_risk.serving.http.errors import OneErrorBody
from credit_risk.serving.http.handlers import HANDLERS
from credit_risk.serving.http.job_document import PATH, document, single_answer
from credit_risk.serving.http.job_events import Listeners
from credit_risk.serving.http.job_forms import MEDIA_TYPES, check_first, input_form, result_form
from credit_risk.serving.idempotency import check_key
from credit_risk.serving.job_wish import Wish
from credit_risk.serving.jobs import Desk

MOST_REFERENCE = 64 * 1024  # bytes
POLL_SECONDS = 1  # that are told as Retry-After
ASYNC = b"respond-async"  # RFC 7240, 4.1


class Reference(BaseModel):
    """A job whose file is elsewhere."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str
    callback_url: str | None = None


class Jobs:
    """An ASGI application in front of another. It answers what is about jobs."""

    def __init__(
        self,
        app: ASGIApp,
        desk: Desk,
        secret_of: Callable[[str | None], Secret | None],
        is_draining: Callable[[], bool],
    ) -> None:
        self._app = app
        self._desk = desk
        self._secret_of = secret_of
        self._listeners = Listeners(desk, is_draining)
        one = f"{PATH}/{{job_id}}"
        routes = Starlette(
            routes=[
                Route("/classify", self._classify, methods=["POST"]),
                Route(PATH, self._all, methods=["GET", "POST"]),  # one route, so that 405 comes with both in Allow
                Route(one, self._one, methods=["GET", "DELETE"]),
                Route(f"{one}/result", self._result, methods=["GET"]),
                Route(f"{one}/rejects", self._rejects, methods=["GET"]),
                Route(f"{one}/events", self._events, methods=["GET"]),
            ],
            exception_handlers=HANDLERS,
        )
        self._routes = OneErrorBody(routes)  # FileResponse has bodies of its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif is_about_jobs(scope["path"]) or (scope["path"] == "/classify" and _is_async(scope)):
            await self._routes(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _classify(self, request: Request) -> Response:
        body = await read_body(request.receive, BODY_LIMITS["/classify"])
        asked = parse_asked(body or b"")
        application, reference = asked if isinstance(asked, Referenced) else (asked, None)
        assert isinstance(application, CreditApplication)  # none may name a customer here
        line = application.model_dump_json()
        if reference is not None:
            line = f'{line[:-1]},"reference":{json.dumps(reference)}}}'
        wish = self._wish(request, request.query_params.get("callback_url"))
        job = await self._desk.take_application(wish, line.encode())
        return _accepted(job, {"preference-applied": ASYNC.decode()})

    async def _all(self, request: Request) -> Response:
        return await (self._post if request.method == "POST" else self._list)(request)

    async def _one(self, request: Request) -> Response:
        return await (self._delete if request.method == "DELETE" else self._get)(request)

    async def _post(self, request: Request) -> Response:
        form = input_form(request.headers)
        pieces = request.stream()
        first = await anext(pieces, b"")
        if form == "json" and first.lstrip()[:1] == b"{":
            return await self._post_reference(request, first, pieces)
        check_first(form, first)
        length = request.headers.get("content-length")
        wish = self._wish(request, request.query_params.get("callback_url"))
        job = await self._desk.take_file(wish, form, _joined(first, pieces), int(length) if length else None)
        return _accepted(job)

    async def _post_reference(self, request: Request, first: bytes, pieces: AsyncIterator[bytes]) -> Response:
        body = first
        async for piece in pieces:
            body += piece
            if len(body) > MOST_REFERENCE:
                break
        try:
            reference = Reference.model_validate_json(body)
        except ValidationError:
            fix = 'send {"source": "...", "callback_url": "..."}, the latter if you want to be notified, or an array'
            raise InvalidRequestError("The body is no job", [Detail(loc=[], msg=fix, type="job")]) from None
        wish = self._wish(request, reference.callback_url)
        return _accepted(await self._desk.take_reference(wish, reference.source))

    async def _list(self, request: Request) -> Response:
        jobs = await self._desk.listed(_caller(request))
        return JSONResponse({"jobs": [document(job) for job in jobs]})

    async def _get(self, request: Request) -> Response:
        job = await self._find(request)
        return JSONResponse(document(job), headers={} if job.has_ended else {"retry-after": str(POLL_SECONDS)})

    async def _delete(self, request: Request) -> Response:
        job = await self._desk.give_up(_caller(request), request.path_params["job_id"])
        return Response(status_code=HTTPStatus.NO_CONTENT) if job is None else JSONResponse(document(job))

    async def _result(self, request: Request) -> Response:
        job = await self._find(request)
        _check_ended(job, "result")
        if job.state == "failed":
            raise ConflictError("The job failed, so it has no result")
        folder = self._desk.files.of(job.id)
        accept = request.headers.get("accept", "*/*")
        if job.source.is_single and "application/json" in accept:
            return Response(single_answer(folder), media_type="application/json")
        form = result_form(accept)
        name = f"{job.id}.{form}"
        return FileResponse(
            folder.result(form), media_type=MEDIA_TYPES[form], filename=name, headers={"vary": "accept"}
        )

    async def _rejects(self, request: Request) -> Response:
        job = await self._find(request)
        _check_ended(job, "rejects")
        path = self._desk.files.of(job.id).rejects
        if not path.exists():
            return Response("row,field,fix\n", media_type=MEDIA_TYPES["csv"])
        return FileResponse(path, media_type=MEDIA_TYPES["csv"], filename=f"{job.id}.{REJECTS}")

    async def _events(self, request: Request) -> Response:
        return self._listeners.tell(await self._find(request))

    async def _find(self, request: Request) -> Job:
        return await self._desk.find(_caller(request), request.path_params["job_id"])

    def _wish(self, request: Request, callback_url: str | None) -> Wish:
        key = request.headers.get("idempotency-key")
        if key is not None:
            check_key(key)
        caller = _caller(request)
        return Wish(caller, callback_url, key, self._secret_of(caller))


def is_about_jobs(path: str) -> bool:
    """Tell whether a path is one of these."""
    return path == PATH or path.startswith(f"{PATH}/")


def _is_async(scope: Scope) -> bool:
    return scope["method"] == "POST" and any(n == b"prefer" and ASYNC in v.lower() for n, v in scope["headers"])


def _accepted(job: Job, headers: dict[str, str] | None = None) -> Response:
    location = {"location": f"{PATH}/{job.id}", "retry-after": str(POLL_SECONDS)}
    return JSONResponse(document(job), HTTPStatus.ACCEPTED, location | (headers or {}))


def _caller(request: Request) -> str | None:
    caller: str | None = request.scope.get("caller")
    return caller


def _check_ended(job: Job, wanted: str) -> None:
    if not job.has_ended:
        raise ConflictError(f"The job is {job.state}; ask again when it has ended", job.seconds_left or POLL_SECONDS)
    if job.state == "cancelled":
        raise ConflictError(f"The job was cancelled, so it has no {wanted}")


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
