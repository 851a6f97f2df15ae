"""What this project needs of BentoML beyond its defaults: a service that starts right and answers in one voice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import bentoml
from _bentoml_sdk.io_models import IOMixin, IORootModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision
from credit_risk.contract.errors import StartupError
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import check_model
from credit_risk.serving.classifier import Answer
from credit_risk.serving.error_body import OneErrorBody
from credit_risk.serving.openapi import OpenAPI, describe
from credit_risk.serving.settings import PROJECT, load_settings

T = TypeVar("T")


@contextmanager
def refuse_to_start_wrong() -> Iterator[None]:
    """End the process with the one sentence of a StartupError, not with a traceback."""
    try:
        yield
    except StartupError as error:
        sys.exit(f"credit_risk: {error}")


class CreditRiskService(bentoml.Service[T]):
    """A BentoML service that checks its settings, policy and model before it listens."""

    def inject_config(self) -> None:
        """Called by BentoML in the parent process before workers start, and in each worker."""
        # BentoML reads a configuration file only if this variable names one, by hand as in a bento and a container.
        os.environ.setdefault("BENTOML_CONFIG", str(PROJECT / "bentoconfiguration.yaml"))
        super().inject_config()
        with refuse_to_start_wrong():
            settings = load_settings()
            load_policy(settings.policy)
            # Workers inherit the full tag: one that starts later serves the same model, whatever `latest` is by then.
            os.environ["CREDIT_RISK_MODEL"] = check_model(settings.model)

    def on_load_bento(self, bento: bentoml.Bento) -> None:
        """Serve the model that the bento was built with: outside a container BentoML would take today's `latest`."""
        super().on_load_bento(bento)
        os.environ["CREDIT_RISK_MODEL"] = str(bento.info.all_models[0].tag)

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        return OneErrorBody(super().to_asgi(is_main))

    @property
    def openapi_spec(self) -> OpenAPI:
        return describe(self.name)


class _RawBody(IOMixin):
    """An input that reaches the endpoint as bytes: parsed by BentoML, an invalid one would be in its log."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Any:  # noqa: ARG003 - BentoML's signature
        return await request.body()


class ApplicationBody(_RawBody, CreditApplication):
    """Body of /classify."""


class ApplicationsBody(_RawBody, IORootModel[list[CreditApplication]]):
    """Body of /classify_batch."""


class DecisionsBody(IORootModel[list[Decision]]):
    """Answer of /classify_batch."""


def respond(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")
