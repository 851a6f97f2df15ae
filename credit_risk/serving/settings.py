"""Settings of the service, from the environment; what is wrong with them stops the process with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from credit_risk.contract.errors import SettingError

PROJECT = Path(__file__).parents[2]  # where service.py, policy.yaml and bentoconfiguration.yaml lie


class Settings(BaseSettings):
    """Each is an environment variable: its name here in capitals, with CREDIT_RISK_ before it."""

    model_config = SettingsConfigDict(env_prefix="CREDIT_RISK_", frozen=True, env_ignore_empty=True)

    model: Annotated[
        str, Field(pattern=r"^[a-z0-9._-]+(:[a-z0-9._-]+)?$", description="Tag of the model in the BentoML store.")
    ] = "credit_risk_model:latest"
    fast_path: Annotated[bool, Field(description="Answer POST /classify ahead of BentoML's middleware.")] = True
    policy: Annotated[Path, Field(description="The policy file.")] = PROJECT / "policy.yaml"


class Batching(BaseModel):
    """How single applications are decided together: `batching` of the service in bentoconfiguration.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: Annotated[bool, Field(description="Off: one by one.")] = True
    max_batch_size: Annotated[int, Field(ge=1, le=10_000, description="Applications decided together at the most.")] = (
        100
    )
    max_latency_ms: Annotated[int, Field(ge=1, le=60_000, description="Waited longer, a request is refused.")] = 500
    max_queue_size: Annotated[int, Field(ge=1, description="More waiting applications than that are refused.")] = 2000


def load_batching(configuration: Mapping[str, Any]) -> Batching:
    """The batching of a service's section of bentoconfiguration.yaml.

    Raises SettingError with one sentence that names the key.
    """
    try:
        return Batching.model_validate(configuration.get("batching", {}))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(['batching', *map(str, f['loc'])])}: {f['msg']}" for f in error.errors())
        raise SettingError(f"invalid bentoconfiguration.yaml: {faults}") from None


def load_settings() -> Settings:
    """The settings of this process.

    Raises SettingError with one sentence that names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"CREDIT_RISK_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise SettingError(f"invalid settings: {faults}") from None
