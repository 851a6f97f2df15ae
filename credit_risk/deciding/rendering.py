"""Decisions as bytes: the JSON of the answer, and the line of the record.

The text is put together by hand, because `model_dump_json` of an object made for the purpose would cost more than
scoring does. Tests hold both to the contract's own models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.decision import Reason
from credit_risk.contract.policy import Policy
from credit_risk.contract.record import SCHEMA
from credit_risk.contract.warning import WARNINGS
from credit_risk.deciding.completion import File
from credit_risk.deciding.decided import Decided, NamedReasons, Origin
from credit_risk.model.store import StoredModel
from credit_risk.record.archive import Basis

_PLAIN = re.compile(r"[\w.:-]*", re.ASCII).fullmatch
_WARNING_JSON = {warning.code: warning.model_dump_json() for warning in WARNINGS}


class AnswerRenderer:
    """Renders the answers of one model, policy and catalogue."""

    def __init__(self, model: str, policy: str, catalogue: Catalogue) -> None:
        """`model` is its tag, and `policy` its version."""
        self._reason_json = {c: Reason(code=c, text=t).model_dump_json() for c, t in catalogue.reasons.items()}
        self._answered_with = f'"model":"{model}","policy":"{policy}"'

    def answer(self, decided: Decided) -> bytes:
        """Render the answer, byte for byte what `Decision.model_dump_json` would give."""
        reasons = ",".join([self._reason_json[code] for code, _ in decided.reasons])
        warnings = ",".join([_WARNING_JSON[code] for code in decided.warnings])
        reference = decided.origin.reference
        said = "" if reference is None else _reference_json(reference)
        return (
            f'{{"Status":"{decided.status}","probability_of_default":{round(decided.probability, 4)},'
            f'"score":{decided.score},"reasons":[{reasons}],"warnings":[{warnings}],'
            f'"decision_id":"{decided.decision_id}",{self._answered_with}{said}}}'
        ).encode()


class Renderer(AnswerRenderer):
    """Renders the decisions of one model, policy and catalogue."""

    def __init__(self, model: StoredModel, policy: Policy, catalogue: Catalogue, release: str) -> None:
        """`release` names the version and the commit of the code that decides."""
        super().__init__(str(model.tag), policy.version, catalogue)
        self._recorded_with = (
            f'"model":"{model.tag}","model_sha256":"{model.sha256}","model_digest":"{model.digest}",'
            f'"policy":"{policy.sha256}","catalogue":"{catalogue.sha256}","service":{json.dumps(release)}'
        )
        self.basis = Basis(policy.content, catalogue.content, model.tag, model.digest, model.files)

    def record(self, decided: Decided) -> bytes:
        """Render the record, one line of JSON as `DecisionRecord` reads it."""
        (
            decision_id,
            time,
            application,
            row,
            margin,
            probability,
            score,
            status,
            reasons,
            warnings,
            origin,
            file,
            _,
            scored_by,
        ) = decided
        text = application.__pydantic_serializer__.to_json(application)  # model_dump_json, without its way there
        codes = ",".join([f'"{code}"' for code in warnings])
        on_file = "" if file is None else _file_json(file)
        by = "" if scored_by is None else f',"scored_by":"{scored_by}"'
        said = "" if origin.reference is None else _reference_json(origin.reference)
        return (
            f'{{"schema":{SCHEMA},"decision_id":"{decision_id}","time":"{time}","application":{text.decode()},'
            f'"application_sha256":"{sha256(text).hexdigest()}","features":"{row.hex()}","margin":{margin!r},'
            f'"probability_of_default":{probability!r},"score":{score},"status":"{status}",'
            f'"reasons":[{_reasons_json(reasons)}],"warnings":[{codes}],{self._recorded_with},'
            f"{_origin_json(origin)}{on_file}{by}{said}}}\n"
        ).encode()


def _reasons_json(reasons: NamedReasons) -> str:
    values = [(code, "null" if value is None else value) for code, value in reasons]
    return ",".join([f'{{"code":"{code}","contribution":{value}}}' for code, value in values])


def _file_json(file: File) -> str:
    times = ",".join([f'"{_time_of(seconds)}":{_names_json(fields)}' for seconds, fields in file.as_of.items()])
    return (
        f',"on_file":{{"customer":{json.dumps(file.customer)},"store":{_quoted(file.source)},"as_of":{{{times}}},'
        f'"stale":{_names_json(file.stale)},"missing":{_names_json(file.missing)}}}'
    )


def _reference_json(reference: str) -> str:
    return f',"reference":{json.dumps(reference)}'


def _names_json(names: Sequence[str]) -> str:
    return "[" + ",".join([f'"{name}"' for name in names]) + "]"


@lru_cache(16)
def _quoted(source: str) -> str:
    return json.dumps(source)


@lru_cache(1000)
def _time_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _origin_json(origin: Origin) -> str:
    """Quote by `json.dumps`, which costs as much as scoring, only the few ids that need it."""
    request_id = origin.request_id
    quoted = f'"{request_id}"' if _PLAIN(request_id) else json.dumps(request_id)
    caller = "null" if origin.caller is None else f'"{origin.caller}"'  # letters, digits, dots and hyphens
    return f'"request_id":{quoted},"caller":{caller}'
