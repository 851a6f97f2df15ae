"""What `job_document` tells of a job, as schemas for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.decision import Status
from credit_risk.jobs.job import State

ID = "01a1f846-be8a-76fb-b12b-52a70f17da92"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "state": "running",
    "rows": {"all": 100_000, "done": 40_000, "refused": 3},
    "decisions": {"APPROVED": 26_010, "MAYBE": 9_120, "DECLINED": 4_867},
    "rows_per_second": 21_052.6,
    "seconds_left": 2.9,
    "created": "2026-11-02T09:30:00.000+00:00",
    "started": "2026-11-02T09:30:00.412+00:00",
    "ended": None,
    "error": None,
    "model": "credit_risk_model:lmoqszheys3ekax4",
    "policy": "d217c98f5817",
    "result": None,
    "rejects": None,
}


class JobRows(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(extra="forbid")

    all: Annotated[int | None, Field(ge=0, description="Rows of the file; null until they are counted.")]
    done: Annotated[int, Field(ge=0, description="Rows that are decided or refused.")]
    refused: Annotated[int, Field(ge=0, description="Rows that hold no valid application.")]


class JobAttempt(BaseModel):
    """An attempt to notify."""

    model_config = ConfigDict(extra="forbid")

    time: datetime
    status: Annotated[int | None, Field(description="HTTP status of the receiver's answer, if one came.")]
    fault: Annotated[str | None, Field(description="Why it failed; null if the message is delivered.")]


class JobCallback(BaseModel):
    """Who is notified of the end of a job."""

    model_config = ConfigDict(extra="forbid")

    url: str
    next_attempt: Annotated[datetime | None, Field(description="Null before the job has ended, and after the last.")]
    attempts: list[JobAttempt]


class JobDocument(BaseModel):
    """A job."""

    model_config = ConfigDict(extra="forbid", title="Job", json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    state: State
    rows: JobRows
    decisions: Annotated[dict[Status, int], Field(description="Decisions so far, by status.")]
    rows_per_second: float | None
    seconds_left: Annotated[float | None, Field(description="Null unless the job is running and can be estimated.")]
    created: datetime
    started: datetime | None
    ended: datetime | None
    error: Annotated[str | None, Field(description="Why the job failed, and what to do about it.")]
    model: Annotated[str, Field(description="The model that decides, which was in force when the job was made.")]
    policy: Annotated[str, Field(description="The policy that decides, likewise.")]
    result: Annotated[str | None, Field(description="Path of the decisions, when the job has succeeded.")]
    rejects: Annotated[str | None, Field(description="Path of what is wrong with rows that were refused, if any.")]
    callback: JobCallback | None = Field(default=None, description="Only if a callback_url was given.")


class JobList(BaseModel):
    """Jobs of a caller."""

    model_config = ConfigDict(extra="forbid", title="Jobs")

    jobs: list[JobDocument]
