"""Settings of the service, from the environment; what is wrong with them stops the process with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from credit_risk.contract.errors import SettingError

PROJECT = Path(__file__).parents[2]  # where service.py, policy.yaml and bentoconfiguration.yaml lie


class Settings(BaseSettings):
    """Each is an environment variable: its name here in capitals, with CREDIT_RISK_ before it."""

    model_config = SettingsConfigDict(env_prefix="CREDIT_RISK_", frozen=True, env_ignore_empty=True)

    model: Annotated[
        str, Field(pattern=r"^[a-z0-9._-]+(:[a-z0-9._-]+)?$", description="Tag of the model in the BentoML store.")
    ] = "credit_risk_model:latest"
    policy: Annotated[Path, Field(description="The policy file.")] = PROJECT / "policy.yaml"


def load_settings() -> Settings:
    """The settings of this process.

    Raises SettingError with one sentence that names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"CREDIT_RISK_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise SettingError(f"invalid settings: {faults}") from None
