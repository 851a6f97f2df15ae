"""The record of a decision: everything that is needed to explain it, and to make it again years later.

A record is one JSON object on a line. `schema` changes when a field is removed or changes its meaning. New fields may
appear without a change of `schema`. Schema 1 named policies and catalogues by the start of their sha256 only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from credit_risk.contract.application import ScoredApplication
from credit_risk.contract.decision import Status

SCHEMA: Literal[2] = 2
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha256OrItsStart = Annotated[str, Field(pattern=r"^[0-9a-f]{12}([0-9a-f]{52})?$")]
Kind = Literal["policy", "catalogue", "model"]  # of what decides


class RecordedReason(BaseModel):
    """A reason's code and how much it spoke against the applicant. A rule of the policy has no contribution."""

    model_config = ConfigDict(frozen=True)

    code: str
    contribution: Annotated[float | None, Field(description="In log odds, in excess of applicants who just passed.")]


class RecordedFile(BaseModel):
    """What was taken from the file of a customer, to complete the application."""

    model_config = ConfigDict(frozen=True)

    customer: Annotated[str, Field(description="The lender's id.")]
    store: Annotated[str, Field(description="Where the file was kept.")]
    as_of: Annotated[dict[datetime, list[str]], Field(description="The fields that were taken, by when they were so.")]
    stale: Annotated[list[str], Field(description="Fields that were older than they should be.")]
    missing: Annotated[list[str], Field(description="Fields that were decided without, as null.")]


class ImpersonalRecord(BaseModel):
    """What stays on record of a decision when all that is personal is erased."""

    model_config = ConfigDict(frozen=True)

    schema_version: Annotated[Literal[1, 2], Field(alias="schema")]
    decision_id: Annotated[str, Field(description="As in the answer; sorts by time.")]
    time: Annotated[datetime, Field(description="When it was decided, in UTC.")]
    margin: Annotated[float, Field(description="Log odds of default.")]
    probability_of_default: Annotated[float, Field(description="Unrounded.")]
    score: int
    status: Status
    reasons: list[RecordedReason]
    warnings: Annotated[list[str], Field(description="Codes.")]
    model: Annotated[str, Field(description="Tag. The model's metadata name the features in the order of the row.")]
    model_sha256: Annotated[Sha256, Field(description="Of its booster.")]
    model_digest: Annotated[Sha256 | None, Field(description="Of all its files; not in schema 1.")] = None
    policy: Annotated[Sha256OrItsStart, Field(description="Sha256 of its content; in schema 1 the start of it.")]
    catalogue: Annotated[Sha256OrItsStart, Field(description="Sha256 of its content; in schema 1 the start of it.")]
    service: Annotated[str, Field(description="Version and commit of the code that decided.")]
    request_id: str
    caller: Annotated[str | None, Field(description="Name of the caller's API key, if keys are required.")]
    scored_by: Annotated[
        str | None,
        Field(description="The model server that scored, or `local` in its place; absent without a model server."),
    ] = None

    @model_validator(mode="after")
    def _in_full(self) -> Self:
        is_in_full = self.model_digest is not None and len(self.policy) == len(self.catalogue) == 64
        if self.schema_version > 1 and not is_in_full:
            raise ValueError("a record of schema 2 has a model_digest, and the whole sha256 of policy and catalogue")
        return self


class DecisionRecord(ImpersonalRecord):
    """One decision on record, with all that is personal."""

    application: ScoredApplication
    application_sha256: Annotated[Sha256, Field(description="Hash of the application, byte by byte as it stands here.")]
    features: Annotated[str, Field(description="The row that was scored: float32, little-endian, in hexadecimal.")]
    on_file: Annotated[RecordedFile | None, Field(description="Only if the caller named a customer.")] = None
    reference: Annotated[str | None, Field(description="The lender's own id of the application, if it was sent.")] = (
        None
    )


class ArchivedLine(BaseModel):
    """What decisions are made with, as a line among their records where there is no folder to archive it in."""

    model_config = ConfigDict(frozen=True)

    schema_version: Annotated[Literal[2], Field(alias="schema")] = 2
    archive: Kind
    sha256: Annotated[Sha256, Field(description="Of the content; the digest of a model.")]
    content: Annotated[str | None, Field(description="Of a policy or a catalogue.")] = None
    tag: Annotated[str | None, Field(description="Of a model.")] = None
    where: Annotated[str | None, Field(description="Where a model is to be had.")] = None
