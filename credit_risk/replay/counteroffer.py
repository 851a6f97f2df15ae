"""The largest amount that the model and the policy of a decision would have approved, with everything else as it was.

Each whole amount below the one that was asked for is scored, from the top down, until one is approved. So nothing needs
to be known of the model, not even that it is monotone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from credit_risk.contract.application import ScoredApplication
from credit_risk.contract.decision import Status
from credit_risk.contract.errors import DataError
from credit_risk.contract.policy import Policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.contract.warning import warnings_of
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.record.reader import Entry
from credit_risk.replay.differences import TOLERANCES

CHUNK = 1000  # amounts that are scored at once


class Counteroffer(NamedTuple):
    """An amount that is approved. All larger ones, up to the one that was asked for, are not."""

    amount: int
    probability_of_default: float  # unrounded
    warnings: list[str]  # codes, of those that the amount that was asked for does not have


def counteroffer(entry: Entry, model: StoredModel, policy: Policy) -> Counteroffer | None:
    """Find the largest amount below the one that was asked for, or None if no amount is approved.

    Raises DataError if the decision is APPROVED as it is, or if this version decides it in another way.
    """
    record = entry.record
    application = record.application
    if record.status == "APPROVED":
        raise DataError(f"decision {record.decision_id} is APPROVED with the amount that was asked for")
    [(probability, status)] = _decided([application], record, model, policy)
    is_same = abs(probability - record.probability_of_default) < TOLERANCES["probability_of_default"]
    if status != record.status or not is_same:
        fault = f"decision {record.decision_id} comes out in another way than it is on record"
        raise DataError(f"{fault}, so what else would have been decided is not known; replay it: {entry.place}")
    for top in range(application.amount - 1, 0, -CHUNK):
        amounts = range(top, max(0, top - CHUNK), -1)
        smaller = [application.model_copy(update={"amount": amount}) for amount in amounts]
        for other, (probability, status) in zip(smaller, _decided(smaller, record, model, policy), strict=True):
            if status == "APPROVED":
                warnings = [warning.code for warning in warnings_of(other)]
                return Counteroffer(other.amount, probability, [w for w in warnings if w not in record.warnings])
    return None


def _decided(
    applications: Sequence[ScoredApplication], record: DecisionRecord, model: StoredModel, policy: Policy
) -> list[tuple[float, Status]]:
    """Decide applications as the service would: give each its probability of default and status."""
    missing = record.on_file.missing if record.on_file else ()
    rows = [model.encoder.encode(application) for application in applications]
    probabilities = map(probability_of, model.scorer.margins(model.encoder.matrix(rows)).tolist())
    return [
        (probability, policy.decide(probability, application, missing).status)
        for probability, application in zip(probabilities, applications, strict=True)
    ]
