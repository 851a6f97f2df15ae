"""What this room leans on inside BentoML, circus (from kantoku) and uvicorn, checked before anything is served."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import bentoml
import uvicorn
from _bentoml_sdk.io_models import IOMixin, IORootModel
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.log import SERVER_LOGGING_CONFIG
from bentoml._internal.server.http import traffic
from circus.arbiter import Arbiter
from circus.sighandler import SysHandler
from circus.sockets import CircusSocket
from uvicorn import config as uvicorn_config
from uvicorn.protocols.http import httptools_impl

from credit_risk.contract.errors import DependencyError
from credit_risk.serving.bento.logs import HANDLER

EXPECTED = {"bentoml": "1.4", "kantoku": "0.18", "uvicorn": "0.54"}
# Where something is, and what must be there.
INTERNALS: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("bentoml", BentoMLContainer, ("config", "http", "prometheus_multiproc_dir", "tracer_provider")),
    (
        "bentoml",
        bentoml.Service,
        ("inject_config", "on_load_bento", "to_asgi", "openapi_spec", "models", "image", "labels"),
    ),
    ("bentoml", traffic, ("TimeoutMiddleware",)),
    ("bentoml", IOMixin, ("from_http_request",)),
    ("bentoml", IORootModel, ("from_http_request",)),
    ("kantoku", Arbiter, ("initialize",)),
    ("kantoku", CircusSocket, ("bind_and_listen",)),
    ("kantoku", SysHandler, ("handle_hup", "quit")),
    ("uvicorn", uvicorn.Server, ("startup", "handle_exit")),
    ("uvicorn", uvicorn_config, ("HTTP_PROTOCOLS",)),
    ("uvicorn", httptools_impl, ("HttpToolsProtocol", "RequestResponseCycle", "STATUS_LINE")),
)


def check_internals() -> None:
    """Raise DependencyError if a library is not as this project expects, with the version that is."""
    for library, place, names in INTERNALS:
        lacking = [name for name in names if not hasattr(place, name)]
        if lacking:
            raise _lacking(library, getattr(place, "__name__", type(place).__name__), lacking)
    if HANDLER not in SERVER_LOGGING_CONFIG["handlers"]:
        raise _lacking("bentoml", "SERVER_LOGGING_CONFIG", [HANDLER])
    # These are attributes of the server only once it has started, when it would be too late to refuse.
    never_set = {"servers", "lifespan"} - set(uvicorn.Server.startup.__code__.co_names)
    if never_set:
        raise _lacking("uvicorn", "Server", sorted(never_set))


def _lacking(library: str, place: str, names: list[str]) -> DependencyError:
    return DependencyError(
        f"this service is built for {library} {EXPECTED[library]}, and {library} {version(library)} has no "
        f"{place}.{', '.join(names)}; install the version in requirements.txt"
    )
