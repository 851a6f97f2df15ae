"""What this project needs of BentoML beyond its defaults: a service that starts right and answers in one voice."""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

import bentoml
from _bentoml_sdk.io_models import IOMixin, IORootModel
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException
from starlette.requests import Request as HTTPRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from yaml import YAMLError

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import Decision
from credit_risk.contract.errors import SettingError, StartupError
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import check_model, report_of
from credit_risk.serving.access import Access
from credit_risk.serving.classifier import Answer, Classifier, Request
from credit_risk.serving.decision_log import check_log
from credit_risk.serving.deployment import check_port, end_with_a_worker, in_container
from credit_risk.serving.drain import Drain
from credit_risk.serving.error_body import OneErrorBody
from credit_risk.serving.fast_path import FastPath
from credit_risk.serving.openapi import INDEX_PAGE, OpenAPI, describe
from credit_risk.serving.settings import PROJECT, Batching, Settings, load_batching, load_settings

T = TypeVar("T")
JSON = "application/json"


@contextmanager
def refuse_to_start_wrong() -> Iterator[None]:
    """End the process with the one sentence of a StartupError, not with a traceback."""
    try:
        yield
    except StartupError as error:
        sys.exit(f"credit_risk: {error}")


class CreditRiskService(bentoml.Service[T]):
    """A BentoML service that checks its settings, policy and model before it listens, and has a fast path."""

    settings: Settings
    batching: Batching
    classifier: Classifier
    drain: Drain

    def inject_config(self) -> None:
        """Called by BentoML in the parent process before workers start, and in each worker."""
        # BentoML reads a configuration file only if this variable names one, by hand as in a bento and a container.
        os.environ.setdefault("BENTOML_CONFIG", str(PROJECT / "bentoconfiguration.yaml"))
        _keep_metrics_apart()
        with refuse_to_start_wrong():
            try:
                super().inject_config()
            except (BentoMLException, YAMLError, AttributeError, TypeError, ValueError) as error:
                # BentoML takes for granted that the file is a mapping of mappings.
                raise SettingError(f"invalid configuration of BentoML: {_fault(str(error))}") from None
            # Workers inherit the full tag: one that starts later serves the same model, whatever `latest` is by then.
            os.environ["CREDIT_RISK_MODEL"] = check_model(load_settings().model)
            self.settings = load_settings()
            configuration = BentoMLContainer.config.services[self.name]
            if self.settings.workers:
                configuration.workers.set(self.settings.workers)
            self.batching = load_batching(configuration.get())
            self.settings.keys  # noqa: B018 - refuses bad ones
            load_policy(self.settings.policy)
            load_catalogue(self.settings.reasons)

    def prepare(self) -> None:
        """Called once, in the parent process, before anything listens."""
        gc.enable()
        http = BentoMLContainer.http
        with refuse_to_start_wrong():
            check_port(http.host.get(), http.port.get())
            check_log(self.settings)
        if in_container():
            end_with_a_worker()

    def on_load_bento(self, bento: bentoml.Bento) -> None:
        """Serve the model that the bento was built with: outside a container BentoML would take today's `latest`."""
        super().on_load_bento(bento)
        os.environ["CREDIT_RISK_MODEL"] = str(bento.info.all_models[0].tag)

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The application of a worker: the drain, access, the fast path, then BentoML's own with one error body."""
        bentoml_app = super().to_asgi(is_main)
        report = report_of(self.settings.model)
        page, figures = ((report / f"model-card.{kind}").read_bytes() for kind in ("html", "json"))
        bentoml_app.router.routes[:0] = [
            Route("/", lambda _: HTMLResponse(INDEX_PAGE)),
            Route("/model-card", lambda _: HTMLResponse(page)),
            Route("/model-card.json", lambda _: Response(figures, media_type=JSON)),
        ]
        app: ASGIApp = OneErrorBody(bentoml_app)
        if self.settings.fast_path:
            app = FastPath(app, lambda: self.classifier)
        app = Access(app, self.settings.keys, open_metrics=self.settings.open_metrics)
        self.drain = Drain(app, self.settings.drain_seconds)
        return self.drain

    def __call__(self) -> Any:
        """The instance of a worker, made after its application; the fast path answers with the same classifier."""
        instance = super().__call__()
        self.classifier = instance.classifier
        return instance

    @property
    def openapi_spec(self) -> OpenAPI:
        return describe(self.name)


def _fault(message: str) -> str:
    """What BentoML says of a configuration, in one line: the path of the key, and what is wrong with it."""
    path = ".".join(re.findall(r"Key '([^']+)' error:", message))
    reason = message.splitlines()[-1] if path else " ".join(message.split())
    return f"{path}: {reason}" if path else reason


def _keep_metrics_apart() -> None:
    """A folder of its own for this server's metrics, inherited by its workers.

    BentoML's is one for all servers of a BENTOML_HOME, and each that starts clears it under the others.
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="credit-risk-metrics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    BentoMLContainer.prometheus_multiproc_dir.set(os.environ["PROMETHEUS_MULTIPROC_DIR"])


class _RawBody(IOMixin):
    """An input that reaches the endpoint as it came: parsed by BentoML, an invalid one would be in its log."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: HTTPRequest, serde: Any) -> Any:  # noqa: ARG003 - BentoML's signature
        request_id = request.headers.get("x-request-id")
        caller = request.scope.get("caller")
        return Request(await request.body(), request_id.encode() if request_id else None, caller, perf_counter())


class ApplicationBody(_RawBody, CreditApplication):
    """Body of /classify."""


class ApplicationsBody(_RawBody, IORootModel[list[CreditApplication]]):
    """Body of /classify_batch."""


class DecisionsBody(IORootModel[list[Decision]]):
    """Answer of /classify_batch."""


def respond(answer: Answer) -> Response:
    """The answer as BentoML passes it on untouched."""
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response
