"""The settings of jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, Json
from pydantic_settings import BaseSettings, NoDecode

from credit_risk.jobs.addresses import PLACES_ARE, Places
from credit_risk.jobs.signature import SECRET_IS, WebhookSecret

SOURCES_ARE = 'a JSON list of folders and s3:// addresses, such as ["/data/portfolios", "s3://bucket/portfolios"]'
SAID_AS_A_WHOLE = {
    "jobs_sources": SOURCES_ARE,
    "jobs_callback_networks": PLACES_ARE,
    "webhook_secret": SECRET_IS,
}


def home() -> Path:
    """BentoML's home, where models are, too."""
    named = os.environ.get("BENTOML_HOME")
    return Path(named) if named else Path.home() / "bentoml"


def _is_place(place: str) -> str:
    if not (place.startswith("s3://") and place.removeprefix("s3://").strip("/")) and not Path(place).is_absolute():
        raise ValueError
    return place


class JobSettings(BaseSettings):
    """Those of the settings that are about jobs."""

    jobs: Annotated[
        str,
        Field(
            pattern=r"^(off|sqlite:///.+|rediss?://.+)$",
            description="Where jobs and idempotency keys are kept: `sqlite:///FILE`, or `redis://HOST:PORT/DB` to "
            "share them, or `off`.",
        ),
    ] = Field(default_factory=lambda: f"sqlite:///{home() / 'jobs' / 'jobs.sqlite'}")
    jobs_folder: Annotated[Path, Field(description="Folder of the jobs' files, which services and workers share.")] = (
        Field(default_factory=lambda: home() / "jobs")
    )
    jobs_workers: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description="Processes that run jobs, which the service starts beside itself; with 0, start "
            "`python -m credit_risk worker`. `make serve` sets 1.",
        ),
    ] = 0
    jobs_nice: Annotated[
        int, Field(ge=0, le=19, description="How far jobs give way to other processes (see nice(1)); 0 not at all.")
    ] = 19
    jobs_max_mb: Annotated[int, Field(ge=1, description="Largest file of a job.")] = 1024
    jobs_sources: Annotated[
        Json[tuple[Annotated[str, AfterValidator(_is_place)], ...]],
        NoDecode,
        Field(
            validate_default=False,
            description="Folders and `s3://` addresses below which a job may refer to a file, as a JSON list.",
        ),
    ] = ()
    jobs_per_caller: Annotated[int, Field(ge=1, description="Most jobs of a caller that have not ended.")] = 10
    jobs_mb_per_caller: Annotated[int, Field(ge=1, description="Most room for the files of a caller's jobs.")] = 4096
    jobs_queue: Annotated[int, Field(ge=1, description="Most jobs that wait, of all callers.")] = 100
    jobs_minutes: Annotated[float, Field(gt=0, description="Longest time of work on a job.")] = 240
    jobs_keep_hours: Annotated[
        float, Field(gt=0, description="How long jobs that have ended are kept, with their results.")
    ] = 168
    jobs_lease_seconds: Annotated[
        float, Field(ge=1, le=3600, description="How long a worker may be silent before another one takes its job.")
    ] = 30
    jobs_ray: Annotated[
        str | None,
        Field(
            pattern=r"^(ray://)?[\w.-]+:[0-9]{1,5}$",
            description="A Ray cluster that decides the rows, such as `ray://HOST:10001`; unset, the worker does.",
        ),
    ] = None
    jobs_callback_networks: Annotated[
        Json[Places],
        NoDecode,
        Field(
            validate_default=False,
            description="Networks and hosts inside that may be notified, and without TLS, as a JSON list.",
        ),
    ] = ()
    webhook_secret: Annotated[
        WebhookSecret | None,
        Field(description="Secret that signs notifications to callers whose API key has none of its own."),
    ] = None
