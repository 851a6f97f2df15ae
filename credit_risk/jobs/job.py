"""A job: what it is about, how far it is, who works on it, and who is told of its end."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.decision import STATUSES
from credit_risk.jobs.attempt import Attempt
from credit_risk.record.archive import Basis as Archived

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
Form = Literal["csv", "ndjson", "parquet"]  # of decisions
InputForm = Literal["csv", "ndjson", "parquet", "json"]  # of applications; json is an array

Time = Annotated[float, Field(description="Unix time.")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """Where the applications come from."""

    form: InputForm
    reference: str | None = None  # to a file that is not the job's; else it was sent
    size: int = 0  # bytes that the job keeps
    is_single: bool = False  # one application, sent to /classify


class Basis(_Frozen):
    """What decides: that in force when the job was made, from the archive in the jobs' folder."""

    model: str  # tag
    model_digest: str
    policy: str  # sha256, like the catalogue
    policy_version: str
    catalogue: str
    release: str

    @classmethod
    def of(cls, archived: Archived, release: str) -> Basis:
        """Name what is archived."""
        policy, catalogue = (sha256(content).hexdigest() for content in (archived.policy, archived.catalogue))
        return cls(
            model=archived.model,
            model_digest=archived.model_digest,
            policy=policy,
            policy_version=policy[:12],
            catalogue=catalogue,
            release=release,
        )


class Lease(_Frozen):
    """A worker's right to work on the job."""

    worker: str
    token: int  # grows with each lease
    until: Time


class Notification(_Frozen):
    """What has to be told to whom when the job has ended."""

    url: str
    attempts: tuple[Attempt, ...] = ()
    due: Time | None = None  # of the next attempt; None before the job has ended, and when no more is to be done


class Job(_Frozen):
    """A job, as a store keeps it in JSON."""

    id: str  # UUID version 7
    caller: str | None  # name of the API key
    created: Time
    source: Source
    basis: Basis
    rows_at_once: int  # of a chunk; the same for all attempts, so that chunks are the same
    keep_seconds: float  # after it has ended
    state: State = "queued"
    version: int = 1  # grows with each change
    due: Time  # when to look at the job again, if nothing changes it before
    wait_until: Time = 0.0  # not to be claimed before
    lease: Lease | None = None
    tokens: int = 0  # leases so far
    attempts: int = 0  # since the last chunk
    started: Time | None = None
    ended: Time | None = None
    error: str | None = None
    rows: int | None = None  # in all, as soon as they are counted
    done: int = 0  # rows that are decided or refused
    refused: int = 0
    chunks: int = 0  # done
    seconds: float = 0.0  # of work
    decisions: dict[str, int] = dict.fromkeys(STATUSES, 0)
    size: int = 0  # bytes of all its files
    notification: Notification | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def rate(self) -> float | None:
        """Rows a second."""
        return self.done / self.seconds if self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        if self.state != "running" or not self.rate or self.rows is None:
            return None
        return (self.rows - self.done) / self.rate
