"""From applications to decisions: encode, score, apply the policy. One call decides a batch."""

from __future__ import annotations

from collections.abc import Sequence

from uuid_utils import uuid7

from credit_risk.contract.application import CreditApplication, warnings_of
from credit_risk.contract.decision import Decision, score_of
from credit_risk.contract.policy import Policy
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel


class Decider:
    """Decides applications with one model and one policy."""

    def __init__(self, model: StoredModel, policy: Policy) -> None:
        self.model = model
        self.policy = policy
        self._policy_version = policy.version

    def decide(self, applications: Sequence[CreditApplication]) -> list[Decision]:
        """The decisions of applications, in order; equal ones are scored once."""
        rows = [self.model.scorer.encoder.encode(application) for application in applications]
        place = {row: index for index, row in enumerate(dict.fromkeys(rows))}
        margins = self.model.scorer.margins(self.model.scorer.encoder.matrix(list(place))).tolist() if place else []
        return [
            self._decision(application, margins[place[row]])
            for application, row in zip(applications, rows, strict=True)
        ]

    def _decision(self, application: CreditApplication, margin: float) -> Decision:
        probability = probability_of(margin)
        return Decision(
            Status=self.policy.decide(probability, application),
            probability_of_default=round(probability, 4),
            score=score_of(margin),
            warnings=warnings_of(application),
            decision_id=str(uuid7()),
            model=self.model.tag,
            policy=self._policy_version,
        )
