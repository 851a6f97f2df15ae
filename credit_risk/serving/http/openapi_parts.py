"""What the descriptions of all routes share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from pydantic import BaseModel, Field

from credit_risk.contract.errors import RequestError


class ErrorDetail(BaseModel):
    """One fault of a request."""

    loc: list[str | int] = Field(description="Where: the position in a batch, then the field.", examples=[["income"]])
    msg: str = Field(description="What to do about it.", examples=["required; send null if it is unknown"])
    type: str = Field(description="A stable name of the fault.", examples=["missing"])


class Error(BaseModel):
    """The one body of every error answer."""

    error: str
    detail: list[ErrorDetail]


def ref(model: str) -> dict[str, str]:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{model}"}


def text(name: str, place: str, description: str, **more: Any) -> dict[str, Any]:
    """Describe a parameter that is a text."""
    return {"name": name, "in": place, "description": description, "schema": {"type": "string", **more}}


def idempotency_key(description: str) -> dict[str, Any]:
    """Describe the header that makes asking again safe."""
    return text("Idempotency-Key", "header", description, minLength=1, maxLength=255)


def operation(
    tag: str, name: str, summary: str, answers: dict[str, Any], errors: Iterable[RequestError], **more: Any
) -> dict[str, Any]:
    """Describe what one method does at one path."""
    described = {"tags": [tag], "operationId": name, "security": [{}, {"key": []}], "summary": summary, **more}
    return {**described, "responses": answers | _errors_as_answers(errors)}


def _errors_as_answers(errors: Iterable[RequestError]) -> dict[str, Any]:
    """Describe errors, each as it may be answered; the status and what it means come from its class."""
    by_status = groupby(sorted(errors, key=lambda error: error.status), lambda error: str(int(error.status)))
    return {status: _error(list(same)) for status, same in by_status}


def _error(same: Sequence[RequestError]) -> dict[str, Any]:
    meanings = list(dict.fromkeys(error.__doc__ or "" for error in same))
    content: dict[str, Any] = {"schema": ref("Error")}
    if len(same) == 1:
        content["example"] = json.loads(same[0].body)
    else:
        content["examples"] = {
            str(number): {"summary": str(error), "value": json.loads(error.body)} for number, error in enumerate(same)
        }
    return {"description": " ".join(meanings), "content": {"application/json": content}}
