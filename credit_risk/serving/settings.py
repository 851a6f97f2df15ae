"""The settings of the service. What is wrong with them stops the process with one sentence."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    Json,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from credit_risk.contract.errors import SettingError
from credit_risk.deciding.open_inference import Address
from credit_risk.model import LATEST
from credit_risk.serving.job_settings import SAID_AS_A_WHOLE, JobSettings
from credit_risk.serving.keys import KEYS_ARE, Keys
from credit_risk.serving.log_settings import LogSettings

PROJECT = Path(__file__).parents[2]  # the folder of service.py, policy.yaml and bentoconfiguration.yaml
PREFIX = "CREDIT_RISK_"
STORE_URL = r"^(sqlite:///.+|rediss?://.+)$"

_ORIGINS_ARE = (
    'a JSON list of origins as browsers send them, such as ["https://example.com", "http://localhost:8080"]: in lower '
    "case, without a path, and without the port that the scheme implies"
)
_SAID_AS_A_WHOLE = {"api_keys": KEYS_ARE, "cors_origins": _ORIGINS_ARE} | SAID_AS_A_WHOLE


def _without_default_port(origin: str) -> str:
    if re.fullmatch(r"http:.*:80|https:.*:443", origin):
        raise ValueError
    return origin


Origin = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$"),
    AfterValidator(_without_default_port),
]


def _model_address(text: str) -> str:
    try:
        Address.parse(text)
    except ValueError:
        shape = "v2+http://HOST:PORT/v2/models/NAME, with /versions/VERSION at its end if you want that version alone"
        raise PydanticCustomError("address", f"must be {shape}") from None
    return text


class DecisionSettings(BaseSettings):
    """Those of the settings that are about deciding at once."""

    model: Annotated[
        str, Field(pattern=r"^[a-z0-9._-]+(:[a-z0-9._-]+)?$", description="Tag of the model in the BentoML store.")
    ] = LATEST
    policy: Annotated[Path, Field(description="The policy file.")] = PROJECT / "policy.yaml"
    reasons: Annotated[Path, Field(description="The catalogue of reasons.")] = PROJECT / "reasons.yaml"
    scoring: Annotated[
        Annotated[str, AfterValidator(_model_address)] | None,
        Field(
            description="A model server that scores, such as `v2+http://localhost:8080/v2/models/credit_risk_model`; "
            "unset, each worker scores."
        ),
    ] = None
    scoring_timeout_ms: Annotated[
        int, Field(ge=1, le=60_000, description="How long the model server may take to score a batch.")
    ] = 1000
    scoring_fallback: Annotated[
        Literal["none", "local"],
        Field(description="What to do while the model server fails: `none` answers 503, `local` scores in the worker."),
    ] = "none"
    workers: Annotated[
        int | None,
        Field(ge=1, le=256, description="Number of processes that decide; overrides bentoconfiguration.yaml."),
    ] = None
    drain_seconds: Annotated[
        float,
        Field(ge=0, le=60, description="How long to go on answering after SIGTERM, until load balancers notice."),
    ] = 1
    fast_path: Annotated[
        bool, Field(description="Answer POST /classify ahead of BentoML's middleware; `false` sends it through.")
    ] = True
    api_keys: Annotated[
        Json[Keys],
        NoDecode,
        Field(validate_default=False, description="API keys by name, each as the sha256 of its token, in JSON."),
    ] = Field(default_factory=dict)
    api_keys_file: Annotated[
        Path | None, Field(description="A file with more API keys in JSON, such as a mounted secret.")
    ] = None
    require_api_keys: Annotated[bool, Field(description="Refuse to start without any API key.")] = False
    max_connections: Annotated[
        int, Field(ge=1, description="Most connections of a worker; beyond, the one that has idled longest is closed.")
    ] = 4000
    allow_protected: Annotated[
        bool,
        Field(description="Serve a model even if it decides by age or marital status."),
    ] = False
    open_metrics: Annotated[
        bool, Field(description="Show /metrics to callers without a key; `false` asks them for one.")
    ] = True
    log_format: Annotated[
        Literal["text", "json"],
        Field(description="How the service logs on stderr: `text`, or `json`, one object a line."),
    ] = "text"
    slow_ms: Annotated[
        int | None, Field(ge=1, description="Log requests that take longer, with where their time went; unset, none.")
    ] = None
    server_timing: Annotated[
        bool, Field(description="Tell callers how long each stage took, in a `Server-Timing` header.")
    ] = False
    cors_origins: Annotated[
        Json[tuple[Origin, ...]],
        NoDecode,
        Field(
            validate_default=False,
            description="Origins whose pages may ask from a browser (CORS), as a JSON list such as "
            '`["https://example.com"]`.',
        ),
    ] = ()

    features: Annotated[
        str | None,
        Field(
            pattern=STORE_URL,
            description="Where fields on file are: `sqlite:///FILE`, or `redis://HOST:PORT/DB` (`rediss://` with TLS).",
        ),
    ] = None
    features_file: Annotated[Path, Field(description="Which fields are on file, and how old they may be.")] = (
        PROJECT / "features.yaml"
    )
    features_timeout_ms: Annotated[int, Field(ge=1, le=10_000, description="How long a look-up in Redis may take.")] = (
        250
    )
    features_cache_size: Annotated[
        int, Field(ge=0, description="Customers whose fields a worker keeps in memory; 0 keeps none.")
    ] = 100_000
    features_cache_seconds: Annotated[
        float, Field(gt=0, description="How long a worker takes them from memory before it asks the store again.")
    ] = 60
    features_unknown_seconds: Annotated[
        float, Field(gt=0, description="The same for customers who are not on file.")
    ] = 5


class Settings(JobSettings, LogSettings, DecisionSettings):
    """Each setting is an environment variable: CREDIT_RISK_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True)


def load_settings() -> Settings:
    """Read the settings of this process. Raises SettingError with one sentence that names the variable."""
    known = [variable_of(name) for name in Settings.model_fields]
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known:
            raise SettingError(f"there is no setting {variable}; there are {', '.join(known)}")
    try:
        return Settings()
    except ValidationError as error:
        names = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        faults = "; ".join(f"{variable_of(name)}: {_expected(name, error)}" for name in names)
        raise SettingError(f"invalid settings: {faults}") from None


def load_keys(settings: Settings) -> Keys:
    """Read all API keys, from the variable and from the file.

    Raises SettingError if the file can't be read, or if there is no key and one is required.
    """
    keys = dict(settings.api_keys)
    if settings.api_keys_file is not None:
        try:
            keys |= TypeAdapter(Keys).validate_json(settings.api_keys_file.read_bytes())
        except OSError as error:
            raise SettingError(f"CREDIT_RISK_API_KEYS_FILE can't be read: {error.strerror}") from None
        except ValidationError:
            raise SettingError(f"CREDIT_RISK_API_KEYS_FILE is not {KEYS_ARE}") from None
    if settings.require_api_keys and not keys:
        raise SettingError("API keys are required: set CREDIT_RISK_API_KEYS or CREDIT_RISK_API_KEYS_FILE")
    return keys


def variable_of(name: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + name.upper()


def _expected(name: str, error: ValidationError) -> str:
    if name in _SAID_AS_A_WHOLE:  # pydantic's own words would not say what is, and could quote a key
        return f"must be {_SAID_AS_A_WHOLE[name]}"
    return next(fault["msg"] for fault in error.errors() if fault["loc"][0] == name)
