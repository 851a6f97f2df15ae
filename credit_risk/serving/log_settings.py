"""The settings of the decision log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from credit_risk.record.files import Fsync
from credit_risk.record.retention import KEPT_BY_LAW
from credit_risk.record.writer import STDOUT
from credit_risk.serving.job_settings import home


def _kept_long_enough(days: int | None, info: ValidationInfo) -> int | None:
    if days is not None and days < KEPT_BY_LAW and not info.data.get("decision_log_keep_less"):
        law = f"must be {KEPT_BY_LAW} or more, because Regulation B asks for 25 months (12 CFR 1002.12(b))"
        fix = "leave it out to keep all, or set CREDIT_RISK_DECISION_LOG_KEEP_LESS=true where that does not bind you"
        raise PydanticCustomError("kept", f"{law}; {fix}")
    return days


def _in_files(encrypts: bool, info: ValidationInfo) -> bool:
    if encrypts and info.data.get("decision_log") == STDOUT:
        fault = "must be false while CREDIT_RISK_DECISION_LOG is stdout, as there is nowhere to keep the keys"
        raise PydanticCustomError("keys", f"{fault}; name a folder there")
    return encrypts


class LogSettings(BaseSettings):
    """Those of the settings that are about the decision log."""

    decision_log: Annotated[
        str,
        Field(min_length=1, description="Folder of the decision log, or `stdout`, or `off`."),
    ] = Field(default_factory=lambda: str(home() / "decisions"))
    decision_log_fsync: Annotated[
        Fsync,
        Field(
            description="When records survive a power cut: `never` leaves it to the operating system, `interval` syncs "
            "every second, `batch` syncs before each answer."
        ),
    ] = "never"
    decision_log_rotate_mb: Annotated[
        int, Field(ge=1, description="Start a new file of the decision log at this size, and each day.")
    ] = 100
    decision_log_keep_less: Annotated[
        bool, Field(description="Let the decision log be kept for less than the 25 months that Regulation B asks for.")
    ] = False
    decision_log_keep_days: Annotated[
        int | None,
        Field(ge=1, description=f"Remove files of the decision log after this many days, {KEPT_BY_LAW} or more."),
        AfterValidator(_kept_long_enough),
    ] = None
    decision_log_encrypt: Annotated[
        bool,
        Field(description="Encrypt what is personal in the decision log, so that it can be erased; not on `stdout`."),
        AfterValidator(_in_files),
    ] = False
    decision_log_seal: Annotated[
        bool, Field(description="Seal the decision log, so that changes to it are found; `stdout` only with a key.")
    ] = True
    decision_log_key: Annotated[
        Path | None,
        Field(
            description="The private key that signs it, as a PEM file; unset, one is made in `BENTOML_HOME`, or beside "
            "the log where that can't be written to."
        ),
    ] = None
    decision_log_heads: Annotated[
        str | None,
        Field(
            min_length=1,
            description="A second place for its signed heads, such as a file on another volume, or `stdout`.",
        ),
    ] = None
    decision_log_head_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How often it is signed while decisions are made.")
    ] = 10
