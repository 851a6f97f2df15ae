"""The BentoML service: it starts right or not at all, answers in one voice, and has a fast path."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, TypeVar

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import traffic
from bentoml.exceptions import BentoMLException
from starlette.types import ASGIApp

from credit_risk import __version__
from credit_risk.model import MODEL_NAME
from credit_risk.record.writer import check_place
from credit_risk.serving.bento import garbage
from credit_risk.serving.bento.announcing import announce, refusing_to_start_wrong
from credit_risk.serving.bento.configuration import (
    check_configuration,
    check_cors,
    fault_of,
    keep_metrics_apart,
    name_the_file,
)
from credit_risk.serving.bento.current import Current
from credit_risk.serving.bento.handover import Handover
from credit_risk.serving.bento.hangup import ignore_sighup, take_over_sighup
from credit_risk.serving.bento.image import slim_image
from credit_risk.serving.bento.internals import check_internals
from credit_risk.serving.bento.job_worker import run_jobs
from credit_risk.serving.bento.listening import listen_apart, reserve_port, take_free_ports
from credit_risk.serving.bento.logs import log_to_stderr
from credit_risk.serving.bento.process import check_port, end_with_a_worker, end_with_parent, in_container, is_worker
from credit_risk.serving.bento.shutdown import take_over_sigterm
from credit_risk.serving.bento.speaking import speak_for
from credit_risk.serving.endpoints import Endpoints
from credit_risk.serving.http.access import Access
from credit_risk.serving.http.admission import Admission
from credit_risk.serving.http.beside import with_routes_beside
from credit_risk.serving.http.browsers import Confined
from credit_risk.serving.http.cors import CrossOrigin
from credit_risk.serving.http.drain import Drain
from credit_risk.serving.http.errors import OneErrorBody
from credit_risk.serving.http.fast_path import FastPath
from credit_risk.serving.http.known_paths import KnownPaths, paths_of
from credit_risk.serving.http.openapi import OpenAPI, describe
from credit_risk.serving.http.pages import page_routes
from credit_risk.serving.http.timeout import Timeout
from credit_risk.serving.http.whole_body import WholeBody
from credit_risk.serving.job_store import OFF, check_jobs
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.release import COMMIT_LABEL, commit_of
from credit_risk.serving.reviews import keeps_events
from credit_risk.serving.rulebook import Rulebook
from credit_risk.serving.sealing import warn_of_key
from credit_risk.serving.settings import PROJECT, load_settings, variable_of
from credit_risk.serving.startup import Startup, start_up

T = TypeVar("T")
logger = logging.getLogger("bentoml.credit_risk")
MODEL_VARIABLE = variable_of("model")


class CreditRiskService(bentoml.Service[T]):
    """A BentoML service with this project's start-up, ASGI layers, image and OpenAPI document."""

    startup: Startup
    endpoints: Endpoints
    paths: frozenset[str] = frozenset()  # that there are
    drain: Drain
    current: Current

    def inject_config(self) -> None:
        """Load and check everything. BentoML calls this in the parent before workers start, and in each worker."""
        log_to_stderr()
        name_the_file()
        keep_metrics_apart()
        with refusing_to_start_wrong():
            check_internals()
            check_configuration()
            try:
                super().inject_config()
            except BentoMLException as error:
                raise fault_of(error) from None
            check_cors()
            configuration = BentoMLContainer.config.services[self.name]
            handover = Handover.inherited()
            self.startup = start_up(configuration.get(), handover.read(handover.place) if handover else None)
            if handover:
                handover.check_model(self.startup.model)
            self.handover = handover or Handover.create(self.startup.rulebook, self.startup.model)
            self.current = Current(self.handover, self.startup.terms)
        # Workers inherit the full tag, so that one that starts later serves the same model, whatever `latest` is then.
        os.environ[MODEL_VARIABLE] = self.startup.model.tag
        if self.startup.settings.workers:
            configuration.workers.set(self.startup.settings.workers)

    def prepare(self) -> None:
        """Check what only the parent process can check. BentoML calls this before anything listens."""
        http = BentoMLContainer.http
        with refusing_to_start_wrong():
            check_port(http.host.get(), http.port.get())
            check_place(self.startup.settings.decision_log)
            self.startup.check_neighbours()
            self.startup.archive(self.startup.rulebook)
            check_jobs(self.startup.settings)
        warn_of_key(self.startup.settings)
        reserve_port()
        take_free_ports()
        take_over_sighup(lambda: self.handover.reload(self.startup.load_rulebook))
        garbage.settle()
        if in_container():
            end_with_a_worker()
        if self.startup.settings.jobs != OFF:
            run_jobs(self.startup.settings.jobs_workers)
        announce(self.startup)

    def on_load_bento(self, bento: bentoml.Bento) -> None:
        """Serve the model that the bento was built with. Outside a container BentoML would take today's `latest`."""
        super().on_load_bento(bento)
        os.environ[MODEL_VARIABLE] = next(str(m.tag) for m in bento.info.all_models if m.tag.name == MODEL_NAME)

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Make the application of a worker: drain, CORS, access, fast path, then BentoML's own with one error body."""
        traffic.TimeoutMiddleware = Timeout  # type: ignore[misc,assignment]
        bentoml_app = super().to_asgi(is_main)
        if is_worker():
            end_with_parent(self.handover.parent)
            ignore_sighup()
            listen_apart()
        bentoml_app.router.routes[:0] = page_routes(self.openapi_spec, self.startup.model.report)
        self.paths = paths_of(bentoml_app.router.routes)
        settings, rulebook = self.startup.settings, (self.current.terms, self.current.catalogue, self.current.keys)
        speak_for(settings, self.startup.batching, lambda: self.endpoints, self.current.keys, self._is_draining)
        app: ASGIApp = KnownPaths(Admission(WholeBody(OneErrorBody(bentoml_app))), self.paths)
        app = with_routes_beside(app, settings, self.startup.release, *rulebook, self._is_draining)
        app = Confined(app)
        if settings.fast_path:
            app = FastPath(app, lambda: self.endpoints)
        largest_job = settings.jobs_max_mb * 2**20
        app = Access(
            app, self.current.keys, self.handover.limits, open_metrics=settings.open_metrics, largest_job=largest_job
        )
        if settings.cors_origins:
            app = CrossOrigin(app, settings.cors_origins)
        self.drain = Drain(app)
        return self.drain

    def __call__(self) -> Any:
        """Make the instance of a worker. The fast path answers with the same endpoints as BentoML's own."""
        with refusing_to_start_wrong():
            instance = super().__call__()
        self.endpoints = instance.endpoints
        return instance

    def _is_draining(self) -> bool:
        return self.drain.draining

    def tell_what_is_in_use(self, metrics: Metrics) -> None:
        """Show what is in use on /metrics, now and whenever it changes."""

        def tell(rulebook: Rulebook) -> None:
            policy, catalogue = rulebook.policy.version, rulebook.catalogue.version
            metrics.in_use(model=self.startup.model.tag, policy=policy, catalogue=catalogue, version=__version__)

        self.current.has_changed = tell
        tell(self.startup.rulebook)

    def drain_on_sigterm(self) -> None:
        """Take SIGTERM over from uvicorn. To be called in its event loop."""
        if threading.current_thread() is threading.main_thread():  # a test's client runs in another one
            with refusing_to_start_wrong():
                take_over_sigterm(self.drain, self.startup.settings.drain_seconds)

    # BentoML sets these three when the service is declared, and reads them when a bento is built or loaded. They are
    # found only then, so that importing the service reads no file.

    @property
    def models(self) -> list[Any]:
        """The model that the settings name, so that a bento holds it."""
        with refusing_to_start_wrong():
            return [bentoml.models.BentoModel(load_settings().model)]

    @models.setter
    def models(self, value: object) -> None:
        pass

    @property
    def image(self) -> Any:
        return slim_image(PROJECT / "deploy")

    @image.setter
    def image(self, value: object) -> None:
        pass

    @property
    def labels(self) -> dict[str, str]:
        return {COMMIT_LABEL: commit_of(PROJECT)}

    @labels.setter
    def labels(self, value: object) -> None:
        pass

    @property
    def openapi_spec(self) -> OpenAPI:
        if not hasattr(self, "startup"):  # while a bento is built
            return describe(self.name)
        on_file, catalogue = self.startup.rulebook.on_file, self.startup.rulebook.catalogue
        settings = self.startup.settings
        return describe(
            self.name,
            on_file.names if on_file else frozenset(),
            jobs=settings.jobs != OFF,
            review_codes=list(catalogue.for_reviews) if keeps_events(settings) else (),
        )
