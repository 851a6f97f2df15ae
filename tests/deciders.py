"""Deciders for tests, driven without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import Catalogue, load_catalogue
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.log import DecisionLog, Log, NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring, Scoring
from credit_risk.deciding.terms import CurrentTerms, Terms, always
from credit_risk.model.store import StoredModel
from credit_risk.record.files import RecordFiles
from credit_risk.record.writer import RecordWriter
from tests.conftest import PROJECT

POLICY = load_policy(PROJECT / "policy.yaml")
CATALOGUE = load_catalogue(PROJECT / "reasons.yaml")
ORIGIN = Origin("a request", None)
RELEASE = "0.0.0+test"


def renderer_of(model: StoredModel, policy: Policy = POLICY, catalogue: Catalogue = CATALOGUE) -> Renderer:
    return Renderer(model, policy, catalogue, RELEASE)


def terms_of(model: StoredModel, policy: Policy = POLICY, catalogue: Catalogue = CATALOGUE) -> CurrentTerms:
    return always(Terms(policy, renderer_of(model, policy, catalogue)))


def decider_of(
    model: StoredModel,
    *,
    policy: Policy = POLICY,
    catalogue: Catalogue = CATALOGUE,
    log: Log | None = None,
    scoring: Scoring | None = None,
) -> Decider:
    terms = terms_of(model, policy, catalogue)
    return Decider(model.encoder, scoring or InProcessScoring(model), terms, log or NoLog())


def decide(decider: Decider, applications: Sequence[CreditApplication], origin: Origin = ORIGIN) -> list[Decided]:
    """Decide applications that can be decided, all in one batch."""
    return asyncio.run(decider.decide_all([applications], origin))


def answers_of(model: StoredModel, applications: Sequence[CreditApplication], policy: Policy = POLICY) -> list[bytes]:
    """Give the bytes that the service would answer."""
    render = renderer_of(model, policy).answer
    return [render(decided) for decided in decide(decider_of(model, policy=policy), applications)]


def recording(
    model: StoredModel,
    applications: Sequence[CreditApplication],
    writer: RecordWriter,
    *,
    policy: Policy = POLICY,
    catalogue: Catalogue = CATALOGUE,
    origin: Origin = ORIGIN,
) -> list[Decided]:
    """Decide applications, with the decisions on record."""
    decider = decider_of(model, policy=policy, catalogue=catalogue, log=DecisionLog(writer))
    return decide(decider, applications, origin)


def record_files(folder: Any, **changes: Any) -> RecordFiles:
    settings: dict[str, Any] = {"fsync": "never", "rotate_bytes": 2**30, "keep_days": None}
    return RecordFiles(folder, **settings | changes)
