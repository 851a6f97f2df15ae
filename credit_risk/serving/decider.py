"""From applications to decisions: encode, score, apply the policy, put into JSON. One call decides a batch."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from uuid_utils import uuid7

from credit_risk.contract.application import EXAMPLE, WARNINGS, CreditApplication, warnings_of
from credit_risk.contract.decision import Status, score_of
from credit_risk.contract.policy import Policy
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.serving.metrics import Metrics

_WARNING_JSON = {warning.code: warning.model_dump_json() for warning in WARNINGS}


class Decider:
    """Decides applications with one model and one policy."""

    def __init__(self, model: StoredModel, policy: Policy, metrics: Metrics) -> None:
        self._scorer = model.scorer
        self._policy = policy
        self._metrics = metrics
        self._made_with = f'"model":"{model.tag}","policy":"{policy.version}"}}'

    def warm_up(self) -> None:
        """Score something before a caller waits for it. No decision is made."""
        self._scorer.margins(self._scorer.encoder.matrix([self._scorer.encoder.encode(EXAMPLE)]))

    def decide(
        self, applications: Sequence[CreditApplication], margins: dict[bytes, float] | None = None
    ) -> list[bytes]:
        """The decisions of applications, in order, each as the JSON of a `Decision`; equal ones are scored once.

        `margins` holds those of rows that were scored before, and takes up the new ones.
        """
        begun = perf_counter()
        margins = {} if margins is None else margins
        encoder = self._scorer.encoder
        rows = [encoder.encode(application) for application in applications]
        new = [row for row in dict.fromkeys(rows) if row not in margins]
        if new:
            margins.update(zip(new, self._scorer.margins(encoder.matrix(new)).tolist(), strict=True))
        scored = perf_counter()
        statuses = []
        decisions = []
        for application, row in zip(applications, rows, strict=True):
            margin = margins[row]
            probability = probability_of(margin)
            status = self._policy.decide(probability, application)
            statuses.append(status)
            decisions.append(self._decision(status, probability, score_of(margin), application))
        self._metrics.statuses += statuses
        self._metrics.stage_seconds["predict"] += scored - begun
        self._metrics.stage_seconds["encode"] += perf_counter() - scored
        return decisions

    def _decision(self, status: Status, probability: float, score: int, application: CreditApplication) -> bytes:
        """The bytes that `Decision.model_dump_json` would give, without making one."""
        warnings = ",".join([_WARNING_JSON[warning.code] for warning in warnings_of(application)])
        return (
            f'{{"Status":"{status}","probability_of_default":{round(probability, 4)},"score":{score},'
            f'"warnings":[{warnings}],"decision_id":"{uuid7()}",{self._made_with}'
        ).encode()
