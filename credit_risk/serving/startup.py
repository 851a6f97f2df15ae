"""Start-up: everything that the service needs is loaded and checked here, once in each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from credit_risk.contract.errors import ModelError
from credit_risk.deciding.completion import Completion
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.feature_store import FeatureStore
from credit_risk.deciding.log import DecisionLog, Log, NoLog
from credit_risk.deciding.on_record import OnRecord
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import CurrentTerms, Terms
from credit_risk.model.lean_import import without_scikit_learn
from credit_risk.model.store import StoredModel, load_model
from credit_risk.record.writer import archive_at, open_writer
from credit_risk.serving import job_store
from credit_risk.serving.batching import Batching, load_batching
from credit_risk.serving.features import check_store, open_store
from credit_risk.serving.job_store import OFF
from credit_risk.serving.once import Once
from credit_risk.serving.release import release_of
from credit_risk.serving.rulebook import Rulebook, load_rulebook
from credit_risk.serving.scoring import check_model_server
from credit_risk.serving.sealing import open_seal
from credit_risk.serving.settings import PROJECT, Settings, load_settings

if TYPE_CHECKING:
    from credit_risk.deciding.model_server import ModelServer

SECONDS = 60.0  # BentoML's own `traffic.timeout`


@dataclass(frozen=True)
class Startup:
    """What the service was started with. Nothing of it changes while the process runs, but the rulebook in force."""

    settings: Settings
    batching: Batching
    rulebook: Rulebook
    model: StoredModel
    release: str
    log: Log
    features: FeatureStore | None
    request_seconds: float  # `traffic.timeout` in bentoconfiguration.yaml

    def terms(self, rulebook: Rulebook) -> Terms:
        """Make what decisions are made by and told in under a rulebook."""
        renderer = Renderer(self.model, rulebook.policy, rulebook.catalogue, self.release)
        return Terms(rulebook.policy, renderer, rulebook.on_file)

    def check_neighbours(self) -> None:
        """Ask the feature store and the model server, if there are any. Raises StartupError if one is not right."""
        if self.features:
            check_store(self.settings, self.features)
        check_model_server(self.settings, self.model)

    def archive(self, rulebook: Rulebook) -> None:
        """Archive beside the decision log what decides under a rulebook. Raises SettingError if that is impossible."""
        archive_at(self.settings.decision_log, self.terms(rulebook).renderer.basis)

    def load_rulebook(self) -> Rulebook:
        """Read the files of the rulebook anew, and archive it. Raises StartupError if either is impossible."""
        rulebook = load_rulebook(load_settings(), self.model)
        self.archive(rulebook)
        return rulebook

    @without_scikit_learn()
    def decider(self, terms: CurrentTerms, model_server: ModelServer | None = None) -> Decider:
        """Make what decides. Without a `model_server` this loads the model's booster, which takes a second."""
        scoring = model_server or InProcessScoring(self.model)
        completer = Completion(self.features) if self.features else None
        return Decider(self.model.encoder, scoring, terms, self.log, completer)

    def once(self, terms: CurrentTerms) -> Once:
        """Make what decides requests with an Idempotency-Key once."""
        settings = self.settings
        open_keys = None if settings.jobs == OFF else partial(job_store.open_store, settings)
        return Once(open_keys, OnRecord(settings.decision_log, terms).answers, self.request_seconds)


@without_scikit_learn()
def start_up(configuration: Mapping[str, Any], rulebook: Rulebook | None = None) -> Startup:
    """Load and check everything, given the service's section of bentoconfiguration.yaml.

    A worker is given the rulebook that its parent has loaded. Raises StartupError with one sentence that names what is
    wrong.
    """
    settings = load_settings()
    batching = load_batching(configuration)
    model = load_model(settings.model)
    if model.protected and not settings.allow_protected:
        raise ModelError(
            f"model {model.tag} decides by {' and '.join(model.protected)}, which lending law restricts; "
            "serve another model, or set CREDIT_RISK_ALLOW_PROTECTED=true"
        )
    if not model.batchable:
        batching = batching.model_copy(update={"enabled": False})
    rulebook = rulebook or load_rulebook(settings, model)
    return Startup(
        settings,
        batching,
        rulebook,
        model,
        release_of(PROJECT),
        _open_log(settings),
        open_store(settings),
        configuration.get("traffic", {}).get("timeout", SECONDS),
    )


def _open_log(settings: Settings) -> Log:
    writer = open_writer(
        settings.decision_log,
        fsync=settings.decision_log_fsync,
        rotate_bytes=settings.decision_log_rotate_mb * 2**20,
        keep_days=settings.decision_log_keep_days,
        seal=open_seal(settings),
    )
    return NoLog() if writer is None else DecisionLog(writer, encrypts=settings.decision_log_encrypt)
