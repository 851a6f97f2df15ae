"""The record of a decision: everything that is needed to explain it, and to make it again years later.

A record is one JSON object on a line. `schema` changes when a field is removed or changes its meaning. New fields may
appear without a change of `schema`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Status

SCHEMA = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RecordedReason(BaseModel):
    """A reason's code and how much it spoke against the applicant. A rule of the policy has no contribution."""

    model_config = ConfigDict(frozen=True)

    code: str
    contribution: Annotated[float | None, Field(description="In log odds, in excess of applicants who just passed.")]


class DecisionRecord(BaseModel):
    """One decision on record."""

    model_config = ConfigDict(frozen=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    decision_id: Annotated[str, Field(description="As in the answer; sorts by time.")]
    time: Annotated[datetime, Field(description="When it was decided, in UTC.")]
    application: CreditApplication
    application_sha256: Annotated[Sha256, Field(description="Hash of the application, byte by byte as it stands here.")]
    features: Annotated[str, Field(description="The row that was scored: float32, little-endian, in hexadecimal.")]
    margin: Annotated[float, Field(description="Log odds of default.")]
    probability_of_default: Annotated[float, Field(description="Unrounded.")]
    score: int
    status: Status
    reasons: list[RecordedReason]
    warnings: Annotated[list[str], Field(description="Codes.")]
    model: Annotated[str, Field(description="Tag. The model's metadata name the features in the order of the row.")]
    model_sha256: Sha256
    policy: str
    catalogue: str
    service: Annotated[str, Field(description="Version and commit of the code that decided.")]
    request_id: str
    caller: Annotated[str | None, Field(description="Name of the caller's API key, if keys are required.")]
