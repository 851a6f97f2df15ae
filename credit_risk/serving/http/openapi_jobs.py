"""The part of the OpenAPI document that is about jobs."""

from __future__ import annotations

from typing import Any

from credit_risk.contract.application import EXAMPLE, FIELDS
from credit_risk.contract.conflicts import ConflictError, KeyReusedError, NotAcceptableError, StorageFullError
from credit_risk.contract.errors import (
    Detail,
    FailedError,
    ForbiddenError,
    InvalidRequestError,
    LimitedError,
    NotFoundError,
    RequestError,
    TimedOutError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedTypeError,
)
from credit_risk.serving.http.job_forms import INPUT_FORMS, MEDIA_TYPES
from credit_risk.serving.http.job_schemas import ID
from credit_risk.serving.http.openapi_parts import idempotency_key, operation, ref, text
from credit_risk.serving.idempotency import CONFLICT
from credit_risk.serving.job_store import NOT_NOW, RETRY_SECONDS

TAG = "Jobs"
ALWAYS: tuple[RequestError, ...] = (
    UnauthorizedError(),
    ForbiddenError("This API key may put reviews and outcomes on record, and nothing else"),
    FailedError(),
    UnavailableError(NOT_NOW, RETRY_SECONDS),
)
OF_ONE = (*ALWAYS, NotFoundError())
# What taking a job may be answered with, besides what is wrong with the request.
REFUSED: tuple[RequestError, ...] = (
    ConflictError(CONFLICT, 1),
    KeyReusedError(),
    LimitedError("Wait until one of your 10 jobs has ended", 5),
    StorageFullError(),
)
INVALID = InvalidRequestError(
    "1 fault in the job: callback_url",
    [Detail(loc=["callback_url"], msg="must begin with https://", type="callback_url")],
)
TOO_EARLY = ConflictError("The job is running; ask again when it has ended", 3)
CALLBACK = "An address that is sent a signed message when the job has ended (Standard Webhooks)."
IDEMPOTENCY_KEY = "Text of your own. Whoever sends it again gets the job that the first request has made."
REFERENCE = {
    "type": "object",
    "description": "A job whose file is elsewhere, below a place that CREDIT_RISK_JOBS_SOURCES names.",
    "properties": {
        "source": {"type": "string", "description": "Its path, or its s3:// address; its extension tells its form."},
        "callback_url": {"type": ["string", "null"], "description": CALLBACK},
    },
    "required": ["source"],
    "additionalProperties": False,
}
EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["progress", "end"]},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": ref("JobDocument")},
    },
    "required": ["id", "event", "data"],
}


def describe_jobs(csv: str) -> dict[str, Any]:
    """Describe the paths of jobs. `csv` is an example of a file."""
    one = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    rejects_csv = {"text/csv": {"schema": {"type": "string"}, "example": "row,field,fix\n7,income,must be a number\n"}}
    return {
        "/jobs": {
            "post": operation(
                TAG,
                "post_job",
                "Hand in a file of applications, which is decided in the background.",
                {"202": _accepted()},
                [
                    INVALID,
                    *ALWAYS,
                    TimedOutError(10),
                    TooLargeError(2**30),
                    UnsupportedTypeError("Send the file uncompressed"),
                    *REFUSED,
                ],
                parameters=[
                    text("callback_url", "query", CALLBACK),
                    idempotency_key(IDEMPOTENCY_KEY),
                ],
                requestBody={"required": True, "content": _files(csv)},
            ),
            "get": operation(TAG, "list_jobs", "List your 100 newest jobs.", {"200": _json("JobList")}, ALWAYS),
        },
        "/jobs/{job_id}": {
            "parameters": [one],
            "get": operation(TAG, "get_job", "Tell how far a job is.", {"200": _json("JobDocument")}, OF_ONE),
            "delete": operation(
                TAG,
                "delete_job",
                "Cancel a job, or forget one that has ended, with its files.",
                {"200": _json("JobDocument", "Cancelled."), "204": {"description": "Forgotten."}},
                [*OF_ONE, ConflictError("The job has just changed; ask again", 1)],
            ),
        },
        "/jobs/{job_id}/result": {
            "parameters": [one],
            "get": operation(
                TAG,
                "get_result",
                "Get the decisions, in the order of the file.",
                {"200": {"description": "All of them.", "content": _results()}, **_partial(_results())},
                [*OF_ONE, TOO_EARLY, NotAcceptableError(f"Accept one of {', '.join(MEDIA_TYPES.values())}")],
                parameters=[text("Range", "header", "The bytes to send, such as bytes=0-999.")],
            ),
        },
        "/jobs/{job_id}/rejects": {
            "parameters": [one],
            "get": operation(
                TAG,
                "get_rejects",
                "Get what is wrong with rows that were refused.",
                {"200": {"description": "All of it.", "content": rejects_csv}, **_partial(rejects_csv)},
                [*OF_ONE, TOO_EARLY],
                parameters=[text("Range", "header", "The bytes to send, such as bytes=0-999.")],
            ),
        },
        "/jobs/{job_id}/events": {
            "parameters": [one],
            "get": operation(
                TAG,
                "get_events",
                "Follow a job until it has ended, as server-sent events: each change is a job, as `progress` or `end`.",
                {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": EVENT}}}},
                OF_ONE,
            ),
        },
    }


def may_be_a_job(classify: dict[str, Any]) -> None:
    """Add to the description of POST /classify that it makes a job if the caller prefers one."""
    only = "Only with `Prefer: respond-async`."
    classify["parameters"] += [
        text("Prefer", "header", "`respond-async` (RFC 7240) makes a job of the application."),
        text("callback_url", "query", f"{only} {CALLBACK}"),
    ]
    applied = {"Preference-Applied": {"schema": {"const": "respond-async"}, "required": True}}
    accepted = _accepted()
    accepted["headers"] |= applied
    job = operation(TAG, "", "", {"202": accepted}, REFUSED)["responses"]
    classify["responses"] = dict(sorted({**job, **classify["responses"]}.items()))


def _accepted() -> dict[str, Any]:
    of_the_job = {"parameters": {"job_id": "$response.body#/id"}}
    followed = ("get_job", "get_result", "get_rejects", "delete_job")
    return {
        **_json("JobDocument", "Taken."),
        "headers": {
            "Location": {"schema": {"type": "string"}, "required": True, "example": f"/jobs/{ID}"},
            "Retry-After": _seconds(),
        },
        "links": {name: {"operationId": name, **of_the_job} for name in followed},
    }


def _files(csv: str) -> dict[str, Any]:
    """The bodies that POST /jobs takes."""
    application = EXAMPLE.model_dump()
    line = EXAMPLE.model_dump_json()
    array = {"type": "array", "minItems": 1, "items": ref("CreditApplication")}
    described: dict[str, Any] = {
        "csv": {"schema": {"type": "string", "description": f"With the columns {', '.join(FIELDS)}."}, "example": csv},
        "ndjson": {
            "schema": {"type": "string", "description": "One application a line."},
            "example": f"{line}\n{line}\n",
        },
        "parquet": {"schema": {"contentMediaType": "application/vnd.apache.parquet"}},
        "json": {
            "schema": {"oneOf": [array, REFERENCE]},
            "examples": {
                "applications": {"value": [application]},
                "reference": {"value": {"source": "s3://portfolios/2026-11.parquet"}},
            },
        },
    }
    return {media_type: dict(described[form]) for media_type, form in INPUT_FORMS.items()}


def _results() -> dict[str, Any]:
    text = {MEDIA_TYPES["csv"]: {"schema": {"type": "string"}}, MEDIA_TYPES["ndjson"]: {"schema": {"type": "string"}}}
    single = {"application/json": {"schema": ref("Decision")}}  # of an application that came to /classify
    return {**text, MEDIA_TYPES["parquet"]: {"schema": {"contentMediaType": MEDIA_TYPES["parquet"]}}, **single}


def _partial(content: dict[str, Any]) -> dict[str, Any]:
    wrong = {"application/json": {"schema": ref("Error")}}
    return {
        "206": {"description": "The part that Range names.", "content": dict(content)},
        "400": {"description": "Range can't be read.", "content": dict(wrong)},
        "416": {"description": "There is no such part.", "content": dict(wrong)},
    }


def _json(schema: str, description: str = "As it is now.") -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def _seconds() -> dict[str, Any]:
    return {"schema": {"type": "integer"}, "required": True, "description": "Seconds until it pays to ask again."}
