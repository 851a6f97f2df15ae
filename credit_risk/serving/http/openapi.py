"""The OpenAPI document, with the contract's own schemas, examples and errors.

BentoML's own document loses null and describes errors that the service never answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

import credit_risk
from credit_risk.contract.application import EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.conflicts import ConflictError, KeyReusedError
from credit_risk.contract.customer import Reference, form_of
from credit_risk.contract.decision import Decision
from credit_risk.contract.errors import (
    Detail,
    FailedError,
    ForbiddenError,
    InvalidRequestError,
    NotOnFileError,
    RequestError,
    TimedOutError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from credit_risk.contract.event import Outcome, RecordedOutcome, RecordedReview, Review
from credit_risk.contract.faults import MAX_BATCH
from credit_risk.contract.refusals import QUEUE_FULL
from credit_risk.serving.http.access import BODY_LIMITS
from credit_risk.serving.http.job_schemas import JobDocument, JobList
from credit_risk.serving.http.openapi_jobs import describe_jobs, may_be_a_job
from credit_risk.serving.http.openapi_parts import Error, idempotency_key, operation, ref
from credit_risk.serving.http.openapi_reviews import describe_reviews, restrict_codes
from credit_risk.serving.idempotency import CONFLICT

# Each as it may be answered; the status and what it means come from its class.
ERRORS: tuple[RequestError, ...] = (
    InvalidRequestError(
        "1 fault in the application: debt",
        [Detail(loc=["debt"], msg="required; send null if it is unknown", type="missing")],
    ),
    UnauthorizedError(),
    ForbiddenError("This API key may put reviews and outcomes on record, and nothing else"),
    TimedOutError(10),
    TooLargeError(BODY_LIMITS["/classify"]),
    FailedError(),
    UnavailableError(QUEUE_FULL),
)
NOT_ON_FILE = NotOnFileError(
    "1 fault in the application: income", [Detail(loc=["income"], msg="not on file; send it", type="not_on_file")]
)
ROW = {
    "type": "array",
    "items": {"type": ["number", "null"]},
    "minItems": 1,
    "description": "What the model's DictVectorizer gives; null is unknown.",
}
SPLIT = {
    "type": "object",
    "description": 'As pandas writes it with orient="split": in this order.',
    "properties": {
        "columns": {"type": "array", "items": {"enum": [*FIELDS, "customer", "reference"]}, "uniqueItems": True},
        "index": {"type": "array"},
        "data": {"type": "array", "items": {"type": "array"}, "maxItems": MAX_BATCH},
    },
    "required": ["columns", "data"],
    "additionalProperties": False,
}
CSV = f"{','.join(FIELDS)}\n{','.join(map(str, EXAMPLE.model_dump().values()))}\n"
REFERENCE = TypeAdapter(Reference).json_schema()
KEY = "Text of your own, which makes asking again safe: for a day, the same request with it gets the same answer."
NO_OTHERS: Mapping[str, Any] = {}
INFRASTRUCTURE = {
    "/livez": "200 while the process runs.",
    "/readyz": "200 when requests can be decided.",
    "/metrics": "Metrics for Prometheus.",
    "/model-card": "The model card as a page: what the model is for, how good it is, and its limits.",
    "/model-card.json": "The model card as JSON.",
    "/openapi.json": "This document. It is also at /docs.json.",
}


class OpenAPI(dict[str, Any]):
    """The document, in the form in which BentoML serves and saves it."""

    def asdict(self) -> dict[str, Any]:
        return dict(self)


yaml.add_representer(OpenAPI, lambda dumper, document: dumper.represent_dict(document))


def describe(
    title: str, on_file: frozenset[str] = frozenset(), *, jobs: bool = False, review_codes: Sequence[str] = ()
) -> OpenAPI:
    """Describe the service called `title`. An application that names a customer may leave out what is `on_file`.

    Without `review_codes`, those of the reasons that a person may decline for, there are no reviews.
    """
    answered: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Decision, "serialization"), (Error, "serialization")]
    if jobs:
        answered += [(JobDocument, "serialization"), (JobList, "serialization")]
    sent: list[tuple[type[BaseModel], JsonSchemaMode]] = [(CreditApplication, "validation")]
    if review_codes:
        sent += [(Review, "validation"), (Outcome, "validation")]
        answered += [(RecordedReview, "serialization"), (RecordedOutcome, "serialization")]
    _, schemas = models_json_schema([*sent, *answered], ref_template="#/components/schemas/{model}")
    schemas["$defs"]["CreditApplication"]["examples"] = [EXAMPLE.model_dump()]
    schemas["$defs"]["CreditApplication"]["properties"]["reference"] = REFERENCE
    told = schemas["$defs"]["Decision"]["properties"]["reference"]  # which is left out, and never null
    schemas["$defs"]["Decision"]["properties"]["reference"] = REFERENCE | {"examples": told["examples"]}
    decision = ref("Decision")
    application: dict[str, Any] = ref("CreditApplication")
    always = ERRORS
    if jobs:
        always = (*ERRORS, ConflictError(CONFLICT, 1), KeyReusedError())
    errors = always
    if on_file:
        errors = (*always, NOT_ON_FILE)
        schemas["$defs"]["CustomerApplication"] = _customer_schema(on_file)
        application = {"anyOf": [application, ref("CustomerApplication")]}
    applications = {"type": "array", "items": application, "maxItems": MAX_BATCH}
    decisions = {"type": "array", "items": decision}
    paths = {
        "/classify": _post("classify", "Decide one application.", application, decision, errors),
        "/classify_batch": _post(
            "classify_batch",
            f"Decide up to {MAX_BATCH} applications; the decisions come in the same order.",
            applications,
            decisions,
            errors,
        ),
        "/classify_array": _post(
            "classify_array",
            f"Decide a row of numbers in the order of the features in /model-card.json, or up to {MAX_BATCH} rows.",
            {"anyOf": [ROW, {"type": "array", "items": ROW, "maxItems": MAX_BATCH}]},
            {"anyOf": [decision, decisions]},
            always,
        ),
        "/classify_table": _post(
            "classify_table",
            f"Decide up to {MAX_BATCH} rows of a table as pandas writes it; the decisions come in the same order.",
            {"anyOf": [applications, SPLIT]},
            decisions,
            errors,
            {"text/csv": {"example": CSV}},
        ),
    }
    tags = [{"name": "Decisions"}]
    if jobs:
        for described in paths.values():
            _may_have_a_key(described["post"])
        may_be_a_job(paths["/classify"]["post"])
        paths |= describe_jobs(CSV)
        tags.append({"name": "Jobs", "description": "Files of applications, which workers decide in the background."})
    if review_codes:
        paths |= describe_reviews()
        restrict_codes(schemas["$defs"]["Review"], review_codes)
        tags.append({"name": "Reviews", "description": "What becomes of decisions, put on record beside them."})
    tags.append({"name": "Infrastructure", "description": "Health and metrics."})
    paths |= {path: _get(summary) for path, summary in INFRASTRUCTURE.items()}
    return OpenAPI(
        openapi="3.1.0",
        info={"title": title, "version": credit_risk.__version__, "description": credit_risk.__doc__},
        servers=[{"url": "."}],
        tags=tags,
        paths=paths,
        components={
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "Needed if keys are set."}},
        },
    )


def _customer_schema(on_file: frozenset[str]) -> dict[str, Any]:
    schema = form_of(on_file, referenced=True).model_json_schema()
    for name in (*on_file, "customer", "reference"):
        del schema["properties"][name]["default"]
    left_out = {"customer": "C-17", **EXAMPLE.model_dump(exclude=set(on_file))}
    description = "An application that names a customer, and leaves out what the lender has on file."
    required = ["customer", *schema["required"]]
    return schema | {"required": required, "description": description, "examples": [left_out]}


def _post(
    name: str,
    summary: str,
    body: dict[str, Any],
    answer: dict[str, Any],
    errors: Sequence[RequestError],
    other_bodies: Mapping[str, Any] = NO_OTHERS,
) -> dict[str, Any]:
    content = {"application/json": {"schema": body}, **other_bodies}
    decided = {"200": {"description": "Decided.", "content": {"application/json": {"schema": answer}}}}
    request_body = {"required": True, "content": content}
    return {"post": operation("Decisions", name, summary, decided, errors, requestBody=request_body)}


def _may_have_a_key(decide: dict[str, Any]) -> None:
    """Add to the description of an endpoint that it takes an Idempotency-Key."""
    decide["parameters"] = [idempotency_key(KEY)]
    again = {"schema": {"const": "true"}, "description": "Only if an earlier request with the key was decided so."}
    decide["responses"]["200"]["headers"] = {"Idempotency-Replayed": again}


def _get(summary: str) -> dict[str, Any]:
    return {"get": {"tags": ["Infrastructure"], "summary": summary, "responses": {"200": {"description": summary}}}}
