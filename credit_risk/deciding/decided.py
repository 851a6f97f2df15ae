"""A decision as it is made: everything that the answer, the record and the metrics need to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import MAX_REASONS, SAID_BY_RULE
from credit_risk.contract.decision import Status
from credit_risk.deciding.completion import File

if TYPE_CHECKING:
    from credit_risk.deciding.rendering import Renderer

NamedReasons = tuple[tuple[str, float | None], ...]  # codes; a rule of the policy has no contribution


def named_reasons(rules: Sequence[str], reasons: NamedReasons) -> NamedReasons:
    """Put the reasons of rules, given by code, first, because rules decide whatever the score is; then the score's.

    What a rule says is not said again.
    """
    if not rules:
        return reasons
    said = {SAID_BY_RULE.get(code) for code in rules}
    more = [reason for reason in reasons if reason[0] not in said]
    return (*((code, None) for code in rules), *more)[:MAX_REASONS]


class Origin(NamedTuple):
    """Where a request came from."""

    request_id: str
    caller: str | None  # name of the API key
    reference: str | None = None  # the lender's own id of the application
    ids: Callable[[], str] | None = None  # makes the ids of its decisions, in order, or raises RequestError


class Decided(NamedTuple):
    """One decision."""

    decision_id: str
    time: str  # ISO 8601, in UTC
    application: CreditApplication
    row: bytes  # float32, as it was scored
    margin: float  # log odds of default
    probability: float  # of default, unrounded
    score: int  # points
    status: Status
    reasons: NamedReasons
    warnings: list[str]  # codes
    origin: Origin
    file: File | None  # what was taken from the customer's file
    renderer: Renderer  # of the model, policy and catalogue that it was made with
    scored_by: str | None = None  # as in Score
