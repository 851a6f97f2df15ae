"""Settings of the service, from the environment; what is wrong with them stops the process with a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from credit_risk.contract.errors import SettingError

PROJECT = Path(__file__).parents[2]  # where service.py, policy.yaml and bentoconfiguration.yaml lie

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Keys = dict[Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")], Sha256]
_KEYS_ARE = "a JSON object of the sha256 of tokens, in hexadecimal, by name"


class Settings(BaseSettings):
    """Each is an environment variable: its name here in capitals, with CREDIT_RISK_ before it."""

    model_config = SettingsConfigDict(env_prefix="CREDIT_RISK_", frozen=True, env_ignore_empty=True)

    model: Annotated[
        str, Field(pattern=r"^[a-z0-9._-]+(:[a-z0-9._-]+)?$", description="Tag of the model in the BentoML store.")
    ] = "credit_risk_model:latest"
    policy: Annotated[Path, Field(description="The policy file.")] = PROJECT / "policy.yaml"
    reasons: Annotated[Path, Field(description="The catalogue of reasons.")] = PROJECT / "reasons.yaml"
    decision_log: Annotated[
        str, Field(min_length=1, description="Folder of the decision log, or `stdout`, or `off`.")
    ] = str(Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml") / "decisions")
    decision_log_fsync: Annotated[
        Literal["never", "batch", "interval"], Field(description="When records are made durable: see the README.")
    ] = "never"
    decision_log_rotate_mb: Annotated[int, Field(ge=1, description="A file that would grow larger is followed.")] = 100
    decision_log_keep_days: Annotated[int | None, Field(ge=1, description="Older files are removed.")] = None
    workers: Annotated[
        int | None,
        Field(ge=1, le=256, description="Processes that decide; before bentoconfiguration.yaml's."),
    ] = None
    drain_seconds: Annotated[
        float, Field(ge=0, le=60, description="Answer for so long after SIGTERM, until load balancers have noticed.")
    ] = 1
    fast_path: Annotated[bool, Field(description="Answer POST /classify ahead of BentoML's middleware.")] = True
    api_keys: Annotated[Keys, Field(description="Keys by name, each as the sha256 of its token, in JSON.")] = {}
    api_keys_file: Annotated[Path | None, Field(description="A file with more of them, in JSON.")] = None
    require_api_keys: Annotated[bool, Field(description="Refuse to start without any key.")] = False
    open_metrics: Annotated[bool, Field(description="Show /metrics to callers without a key.")] = True

    @property
    def keys(self) -> Keys:
        """All keys, of the variable and of the file.

        Raises SettingError where the file can't be read, or there is no key and one is required.
        """
        keys = dict(self.api_keys)
        if self.api_keys_file is not None:
            try:
                keys |= TypeAdapter(Keys).validate_json(self.api_keys_file.read_bytes())
            except OSError as error:
                raise SettingError(f"CREDIT_RISK_API_KEYS_FILE can't be read: {error.strerror}") from None
            except ValidationError:
                raise SettingError(f"CREDIT_RISK_API_KEYS_FILE is not {_KEYS_ARE}") from None
        if self.require_api_keys and not keys:
            raise SettingError("API keys are required: set CREDIT_RISK_API_KEYS or CREDIT_RISK_API_KEYS_FILE")
        return keys


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
        raise SettingError(f"invalid configuration of BentoML: {faults}") from None


def load_settings() -> Settings:
    """The settings of this process.

    Raises SettingError with one sentence that names the variable.
    """
    known = [f"CREDIT_RISK_{name.upper()}" for name in Settings.model_fields]
    for variable in os.environ:
        if variable.startswith("CREDIT_RISK_") and variable not in known:
            raise SettingError(f"there is no setting {variable}; there are {', '.join(known)}")
    try:
        return Settings()
    except ValidationError as error:
        names = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        faults = "; ".join(f"CREDIT_RISK_{name.upper()}: {_expected(name, error)}" for name in names)
        raise SettingError(f"invalid settings: {faults}") from None
    except SettingsError:
        raise SettingError(f"invalid settings: CREDIT_RISK_API_KEYS is not {_KEYS_ARE}") from None


def _expected(name: str, error: ValidationError) -> str:
    if name == "api_keys":  # what pydantic says would quote from it
        return f"must be {_KEYS_ARE}"
    return next(fault["msg"] for fault in error.errors() if fault["loc"][0] == name)
