"""What becomes of a decision: a person's review of it, and the outcome of the loan.

Each is one line in the log, tied to its decision by the id, and is never changed: a later one supersedes it.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from credit_risk.contract.catalogue import MAX_REASONS
from credit_risk.contract.customer import LONGEST
from credit_risk.contract.decision import Reason
from credit_risk.contract.record import SCHEMA

LONGEST_NOTE = 2000  # characters
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"  # of version 7
LAYOUT = {"\n", "\t"}  # of a note


def _printable(text: str) -> str:
    if not all(char.isprintable() or char in LAYOUT for char in text):
        raise ValueError
    return text


def _on_one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _each_once(codes: list[str]) -> list[str]:
    if len(set(codes)) < len(codes):
        raise ValueError
    return codes


Id = Annotated[str, Field(pattern=UUID)]
Verdict = Literal["APPROVED", "DECLINED"]
Repayment = Literal["repaid", "defaulted"]
Reviewer = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, description="Who has decided; on record.", examples=["m.ito"]),
    AfterValidator(_on_one_line),
]
Note = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NOTE, description="For the record; the applicant is never shown it."),
    AfterValidator(_printable),
]
Codes = Annotated[
    list[str],
    Field(
        max_length=MAX_REASONS,
        description="Of the catalogue of reasons, the strongest first. To decline takes at least one.",
        examples=[["V01"]],
    ),
    AfterValidator(_each_once),
]


class Review(BaseModel):
    """A person's review of a decision, as it is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    status: Annotated[Verdict, Field(description="What the person has decided.")]
    reviewer: Reviewer
    reason_codes: Codes = Field(default=[])
    note: Note | None = None
    override: Annotated[
        bool, Field(description="Must be true to overrule a decision that was APPROVED or DECLINED.")
    ] = False
    supersedes: Annotated[Id | None, Field(description="The review_id of the review that this one takes back.")] = None


class Outcome(BaseModel):
    """What became of a loan, as it is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    outcome: Repayment
    date: Annotated[date, Field(description="When that was certain.")]
    supersedes: Annotated[Id | None, Field(description="The outcome_id of the outcome that this one takes back.")] = (
        None
    )


class RecordedReview(BaseModel):
    """A review as it is on record, and as it is answered."""

    model_config = ConfigDict(frozen=True)

    review_id: Annotated[str, Field(description="Sorts by time.")]
    decision_id: str
    time: Annotated[datetime, Field(description="When it was recorded, in UTC.")]
    status: Verdict
    override: bool
    reviewer: str
    reasons: Annotated[list[Reason], Field(description="With the texts of that time.")]
    note: Annotated[str | None, Field(description="Null also if it was erased.")] = None
    supersedes: str | None


class RecordedOutcome(BaseModel):
    """An outcome as it is on record, and as it is answered."""

    model_config = ConfigDict(frozen=True)

    outcome_id: Annotated[str, Field(description="Sorts by time.")]
    decision_id: str
    time: Annotated[datetime, Field(description="When it was recorded, in UTC.")]
    outcome: Repayment
    date: date
    supersedes: str | None


class _Start(BaseModel):
    schema_version: Annotated[Literal[2], Field(alias="schema")] = SCHEMA


class Asking(BaseModel):
    """Who has put an event on record, and with what."""

    request_id: Annotated[str, Field(description="The caller's X-Request-ID, or a new one; `command` for a command.")]
    caller: Annotated[str | None, Field(description="Name of the caller's API key, if keys are required.")]
    service: Annotated[str, Field(description="Version and commit of the code that has recorded it.")]


class ReviewLine(Asking, RecordedReview, _Start):
    """The line of a review in the log."""


class OutcomeLine(Asking, RecordedOutcome, _Start):
    """The line of an outcome in the log."""
