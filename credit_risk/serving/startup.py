"""Start-up: everything that the service needs is loaded and checked here, once in each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credit_risk.contract.catalogue import Catalogue, load_catalogue
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.deciding.decider import Decider, Observe
from credit_risk.deciding.log import DecisionLog, Log, NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.model.store import StoredModel, load_model
from credit_risk.record.writer import open_writer
from credit_risk.serving.release import release_of
from credit_risk.serving.settings import (
    PROJECT,
    Batching,
    Keys,
    Settings,
    load_batching,
    load_keys,
    load_settings,
)


@dataclass(frozen=True)
class Startup:
    """What the service was started with. Nothing of it changes while the process runs."""

    settings: Settings
    batching: Batching
    keys: Keys
    policy: Policy
    catalogue: Catalogue
    model: StoredModel
    renderer: Renderer
    log: Log

    def decider(self, observe: Observe) -> Decider:
        """Make what decides. This loads the model's booster, which takes a second."""
        return Decider(self.model.encoder, InProcessScoring(self.model), self.policy, self.log, observe)


def start_up(configuration: Mapping[str, Any]) -> Startup:
    """Load and check everything, given the service's section of bentoconfiguration.yaml.

    Raises StartupError with one sentence that names what is wrong.
    """
    settings = load_settings()
    batching = load_batching(configuration)
    model = load_model(settings.model)
    if not model.batchable:
        batching = batching.model_copy(update={"enabled": False})
    policy, catalogue = load_policy(settings.policy), load_catalogue(settings.reasons)
    renderer = Renderer(model, policy, catalogue, release_of(PROJECT))
    return Startup(
        settings, batching, load_keys(settings), policy, catalogue, model, renderer, _open_log(settings, renderer)
    )


def _open_log(settings: Settings, renderer: Renderer) -> Log:
    writer = open_writer(
        settings.decision_log,
        fsync=settings.decision_log_fsync,
        rotate_bytes=settings.decision_log_rotate_mb * 2**20,
        keep_days=settings.decision_log_keep_days,
    )
    return NoLog() if writer is None else DecisionLog(renderer, writer)
