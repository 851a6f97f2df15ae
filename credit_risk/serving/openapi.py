"""The OpenAPI document: the contract's own schemas, examples and errors; BentoML's loses null and invents errors."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

import credit_risk
from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.body import MAX_BATCH
from credit_risk.contract.decision import Decision

ERRORS: dict[int, tuple[str, dict[str, Any]]] = {
    400: (
        "The body is not what the contract asks for; nothing was scored.",
        {
            "error": "1 fault in the application: debt",
            "detail": [{"loc": ["debt"], "msg": "required; send null if it is unknown", "type": "missing"}],
        },
    ),
    401: ("The request has no valid API key.", {"error": "Send a valid API key as a bearer token", "detail": []}),
    408: ("The body did not end in time.", {"error": "Send the whole request within 10 seconds", "detail": []}),
    413: ("The body is too large.", {"error": "Send at most 65536 bytes in a request", "detail": []}),
    500: (
        "The service failed; the request was not decided.",
        {"error": "The service failed; the request was not decided", "detail": []},
    ),
    503: (
        "The service can't decide now; try again after Retry-After seconds.",
        {"error": "The service is overloaded: its queue is full", "detail": []},
    ),
}
INFRASTRUCTURE = {
    "/livez": "200 while the process runs.",
    "/readyz": "200 when requests can be decided.",
    "/metrics": "Figures for Prometheus.",
}


# BentoML's own page sends its readers' visits to a tag manager; this one sends nothing to anybody.
INDEX_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Credit risk</title>
<link rel="stylesheet" href="./static_content/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "./docs.json", dom_id: "#swagger-ui", deepLinking: true})</script>
</html>
"""


class ErrorDetail(BaseModel):
    """One fault of a request."""

    loc: list[str | int] = Field(description="Where: the position in a batch, then the field.", examples=[["income"]])
    msg: str = Field(description="What to do about it.", examples=["required; send null if it is unknown"])
    type: str = Field(description="A stable name of the fault.", examples=["missing"])


class Error(BaseModel):
    """The one body of every error answer."""

    error: str
    detail: list[ErrorDetail]


class OpenAPI(dict[str, Any]):
    """The document, in the shape in which BentoML serves and saves it."""

    def asdict(self) -> dict[str, Any]:
        return dict(self)


yaml.add_representer(OpenAPI, lambda dumper, document: dumper.represent_dict(document))


def describe(title: str) -> OpenAPI:
    """The document of the service called `title`."""
    _, schemas = models_json_schema(
        [(CreditApplication, "validation"), (Decision, "serialization"), (Error, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas["$defs"]["CreditApplication"]["examples"] = [EXAMPLE.model_dump()]
    application, decision = _ref("CreditApplication"), _ref("Decision")
    paths = {
        "/classify": _post("classify", "Decide one application.", application, decision),
        "/classify_batch": _post(
            "classify_batch",
            f"Decide up to {MAX_BATCH} applications; the decisions come in the same order.",
            {"type": "array", "items": application, "maxItems": MAX_BATCH},
            {"type": "array", "items": decision},
        ),
    }
    paths |= {path: _get(summary) for path, summary in INFRASTRUCTURE.items()}
    return OpenAPI(
        openapi="3.1.0",
        info={"title": title, "version": credit_risk.__version__, "description": credit_risk.__doc__},
        servers=[{"url": "."}],
        tags=[{"name": "Decisions"}, {"name": "Infrastructure", "description": "Health and metrics."}],
        paths=paths,
        components={
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "Where keys are required."}},
        },
    )


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _post(name: str, summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    errors = {
        str(status): {
            "description": description,
            "content": {"application/json": {"schema": _ref("Error"), "example": example}},
        }
        for status, (description, example) in ERRORS.items()
    }
    return {
        "post": {
            "tags": ["Decisions"],
            "operationId": name,
            "security": [{}, {"key": []}],
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": {"description": "Decided.", "content": {"application/json": {"schema": answer}}}}
            | errors,
        }
    }


def _get(summary: str) -> dict[str, Any]:
    return {"get": {"tags": ["Infrastructure"], "summary": summary, "responses": {"200": {"description": summary}}}}
