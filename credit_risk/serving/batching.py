"""How single applications are decided together, as bentoconfiguration.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from credit_risk.contract.errors import SettingError


class Batching(BaseModel):
    """How single applications are decided together: `batching` in bentoconfiguration.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: Annotated[bool, Field(description="`false` decides applications one by one.")] = True
    max_batch_size: Annotated[int, Field(ge=1, le=10_000, description="Most applications decided together.")] = 100
    max_latency_ms: Annotated[
        int, Field(ge=1, le=60_000, description="A request that has waited longer is answered 503.")
    ] = 500
    max_queue_size: Annotated[
        int, Field(ge=1, description="Most applications that may wait in a worker; the next is answered 503.")
    ] = 2000


def load_batching(configuration: Mapping[str, Any]) -> Batching:
    """Read `batching` from the service's section of bentoconfiguration.yaml. Raises SettingError that names the key."""
    try:
        return Batching.model_validate(configuration.get("batching", {}))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(['batching', *map(str, f['loc'])])}: {f['msg']}" for f in error.errors())
        raise SettingError(f"invalid configuration of BentoML: {faults}") from None
