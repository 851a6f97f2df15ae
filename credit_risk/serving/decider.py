"""From applications to decisions, a batch at a time: encode, score, explain, apply the policy, record, answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from typing import NamedTuple

from uuid_utils import uuid7

from credit_risk import __version__
from credit_risk.contract.application import EXAMPLE, WARNINGS, CreditApplication, warnings_of
from credit_risk.contract.catalogue import MAX_REASONS, Catalogue
from credit_risk.contract.decision import Reason, score_of
from credit_risk.contract.policy import Outcome, Policy
from credit_risk.contract.record import SCHEMA
from credit_risk.model.reasons import Reasons
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.serving.decision_log import Log
from credit_risk.serving.metrics import Metrics

_PLAIN = re.compile(r"[\w.:-]*", re.ASCII).fullmatch
_WARNING_JSON = {warning.code: warning.model_dump_json() for warning in WARNINGS}


class Origin(NamedTuple):
    """Where a request came from, for the record."""

    request_id: str
    caller: str | None  # name of the API key


class Decider:
    """Decides applications with one model and one policy."""

    def __init__(self, model: StoredModel, policy: Policy, catalogue: Catalogue, log: Log, metrics: Metrics) -> None:
        self._scorer = model.scorer
        self._explainer = model.explainer
        self._policy = policy
        self._log = log
        self._metrics = metrics
        self._reason_json = {c: Reason(code=c, text=t).model_dump_json() for c, t in catalogue.reasons.items()}
        self._made_with = f'"model":"{model.tag}","policy":"{policy.version}"}}'
        self._recorded_with = (
            f'"model":"{model.tag}","model_sha256":"{model.sha256}","policy":"{policy.version}",'
            f'"catalogue":"{catalogue.version}","service":"{__version__}"'
        )

    def warm_up(self) -> None:
        """Score and explain something before a caller waits for it. No decision is made."""
        matrix = self._scorer.encoder.matrix([self._scorer.encoder.encode(EXAMPLE)])
        self._scorer.margins(matrix)
        self._explainer.reasons(matrix)

    def decide(
        self,
        applications: Sequence[CreditApplication],
        origins: Sequence[Origin],
        scored: dict[bytes, tuple[float, Reasons]] | None = None,
    ) -> list[bytes]:
        """The decisions of applications, in order, each as the JSON of a `Decision`; equal ones are scored once.

        All are on record when this returns. `scored` holds the margins and reasons of rows that were scored before, and
        takes up the new ones. Raises UnavailableError where they can't be recorded.
        """
        begun = perf_counter()
        scored = {} if scored is None else scored
        encoder = self._scorer.encoder
        rows = [encoder.encode(application) for application in applications]
        self._score([row for row in dict.fromkeys(rows) if row not in scored], scored)
        predicted = perf_counter()
        time = datetime.now(UTC).isoformat()
        statuses, decisions, records = [], [], []
        to_json = CreditApplication.__pydantic_serializer__.to_json  # model_dump_json, without its way there
        for application, row, origin in zip(applications, rows, origins, strict=True):
            margin, reasons = scored[row]
            probability = probability_of(margin)
            outcome = self._policy.decide(probability, application)
            named = _named(outcome, reasons)
            decision_id = str(uuid7())
            warnings = [warning.code for warning in warnings_of(application)]
            score = score_of(margin)
            statuses.append(outcome.status)
            decisions.append(self._decision(outcome, probability, score, named, warnings, decision_id))
            said = to_json(application).decode()
            records.append(
                (
                    f'{{"schema":{SCHEMA},"decision_id":"{decision_id}","time":"{time}","application":{said},'
                    f'"application_sha256":"{sha256(said.encode()).hexdigest()}","features":"{row.hex()}",'
                    f'"margin":{margin!r},"probability_of_default":{probability!r},"score":{score},'
                    f'"status":"{outcome.status}","reasons":[{_recorded(named)}],"warnings":[{_quoted_all(warnings)}],'
                    f"{self._recorded_with},{_recorded_origin(origin)}}}\n"
                ).encode()
            )
        decided = perf_counter()
        self._log.append(records)
        self._metrics.statuses += statuses
        self._metrics.stage_seconds["predict"] += predicted - begun
        self._metrics.stage_seconds["encode"] += decided - predicted
        self._metrics.stage_seconds["record"] += perf_counter() - decided
        return decisions

    def _score(self, rows: list[bytes], scored: dict[bytes, tuple[float, Reasons]]) -> None:
        """Margins of rows, and the reasons against those that the cutoffs alone would not approve."""
        if not rows:
            return
        matrix = self._scorer.encoder.matrix(rows)
        found, patterns = self._scorer.score(matrix)
        margins = found.tolist()
        adverse = [i for i, m in enumerate(margins) if self._policy.status_of(probability_of(m)) != "APPROVED"]
        reasons: dict[int, Reasons] = {}
        if adverse:
            theirs = None if patterns is None else patterns[:, adverse]
            reasons = dict(zip(adverse, self._explainer.reasons(matrix[adverse], theirs), strict=True))
        for number, (row, margin) in enumerate(zip(rows, margins, strict=True)):
            scored[row] = margin, reasons.get(number, ())

    def _decision(
        self, outcome: Outcome, probability: float, score: int, reasons: Named, warnings: list[str], decision_id: str
    ) -> bytes:
        """The bytes that `Decision.model_dump_json` would give, without making one."""
        reasons_json = ",".join([self._reason_json[code] for code, _ in reasons])
        warnings_json = ",".join([_WARNING_JSON[code] for code in warnings])
        return (
            f'{{"Status":"{outcome.status}","probability_of_default":{round(probability, 4)},"score":{score},'
            f'"reasons":[{reasons_json}],"warnings":[{warnings_json}],"decision_id":"{decision_id}",{self._made_with}'
        ).encode()


Named = tuple[tuple[str, float | None], ...]  # codes, with the contribution where the score gives one


def _named(outcome: Outcome, reasons: Reasons) -> Named:
    """The rules' reasons first, as they decide whatever the score; then the score's, if it is adverse itself."""
    if not outcome.rules:
        return reasons
    return (*((code, None) for code in outcome.rules), *reasons)[:MAX_REASONS]


def _recorded(named: Named) -> str:
    values = [(code, "null" if value is None else value) for code, value in named]
    return ",".join([f'{{"code":"{code}","contribution":{value}}}' for code, value in values])


def _recorded_origin(origin: Origin) -> str:
    """`json.dumps` of a text costs as much as scoring it; few need it."""
    request_id = origin.request_id
    quoted = f'"{request_id}"' if _PLAIN(request_id) else json.dumps(request_id)
    caller = "null" if origin.caller is None else f'"{origin.caller}"'  # of letters, digits, dots and hyphens
    return f'"request_id":{quoted},"caller":{caller}'


def _quoted_all(codes: list[str]) -> str:
    return ",".join([f'"{code}"' for code in codes])
