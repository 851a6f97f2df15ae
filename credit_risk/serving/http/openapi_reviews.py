"""The part of the OpenAPI document that is about reviews and outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from credit_risk.contract.conflicts import ConflictError
from credit_risk.contract.errors import (
    FailedError,
    ForbiddenError,
    NotFoundError,
    RequestError,
    TimedOutError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from credit_risk.contract.event import Outcome, Review
from credit_risk.contract.event_parsing import FIXES, refusal_of
from credit_risk.record.events import NOT_RECORDED
from credit_risk.serving.http.access import OTHER_LIMIT
from credit_risk.serving.http.openapi_parts import operation, ref
from credit_risk.serving.routes import OUTCOME, REVIEW

ALWAYS: tuple[RequestError, ...] = (
    UnauthorizedError(),
    ForbiddenError("This API key may ask for decisions, and nothing else"),
    NotFoundError("No decision of this id is on record here"),
    TimedOutError(10),
    TooLargeError(OTHER_LIMIT),
    FailedError(),
    UnavailableError(NOT_RECORDED),
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "Review": {
        "status": "DECLINED",
        "reviewer": "m.ito",
        "reason_codes": ["V02"],
        "note": "No answer from two lenders.",
    },
    "Outcome": {"outcome": "repaid", "date": "2026-11-27"},
}


def describe_reviews() -> dict[str, Any]:
    """Describe the paths of reviews and outcomes."""
    return {
        REVIEW: _path(
            "Review",
            "Put a person's review of a decision on record.",
            [
                refusal_of(Review, "reviewer", f"required; {FIXES['reviewer']}", "missing"),
                ConflictError("The decision has a review already; send its review_id as supersedes to take it back"),
            ],
        ),
        OUTCOME: _path(
            "Outcome",
            "Put the outcome of a loan on record.",
            [
                refusal_of(Outcome, "date", FIXES["date"], "date_type"),
                ConflictError("The decision is MAYBE and awaits a review, so there is no loan with an outcome"),
            ],
        ),
    }


def restrict_codes(review: dict[str, Any], codes: Sequence[str]) -> None:
    """Say in the schema of a review which codes there are, and that to decline takes one."""
    reasons = review["properties"]["reason_codes"]
    reasons |= {"items": {"enum": list(codes)}, "uniqueItems": True}
    declined, one = {"properties": {"status": {"const": "DECLINED"}}}, {"reason_codes": {"minItems": 1}}
    review |= {"if": declined, "then": {"properties": one, "required": ["reason_codes"]}}


def _path(kind: str, summary: str, errors: list[RequestError]) -> dict[str, Any]:
    recorded = {"application/json": {"schema": ref(f"Recorded{kind}")}}
    sent = {"schema": ref(kind), "example": EXAMPLES[kind]}
    answers = {
        "200": {"description": "It was on record already: the same was sent before.", "content": recorded},
        "201": {"description": "Recorded.", "content": recorded},
    }
    body = {"required": True, "content": {"application/json": sent}}
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    return {
        "parameters": [one],
        "post": operation("Reviews", f"post_{kind.lower()}", summary, answers, [*errors, *ALWAYS], requestBody=body),
    }
