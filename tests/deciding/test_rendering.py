"""The bytes of answers and records, held to the contract's own models."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.customer import is_reference
from credit_risk.contract.decision import Decision
from credit_risk.contract.record import DecisionRecord
from credit_risk.deciding.decided import Origin
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.deciders import (
    CATALOGUE,
    POLICY,
    RELEASE,
    answers_of,
    decide,
    decider_of,
    record_files,
    recording,
    renderer_of,
)
from tests.record.test_files import lines_of

ODD = EXAMPLE.model_copy(update={"home": "unk", "marital": "unk", "job": "unk", "time": 7, "amount": 99_999, "age": 18})
CALLER = Origin('a "request"\\', "branch")


def test_an_answer_has_the_bytes_of_a_decision(model: StoredModel, synthetic: Dataset) -> None:
    for answer in answers_of(model, [*synthetic.applications, EXAMPLE, ODD]):
        assert Decision.model_validate_json(answer, strict=True).model_dump_json().encode() == answer


def test_all_warnings_of_an_odd_application_are_in_the_answer(model: StoredModel) -> None:
    [answer] = answers_of(model, [CreditApplication.model_validate(ODD.model_dump())])
    codes = [warning.code for warning in Decision.model_validate_json(answer).warnings]
    assert codes == [
        *("amount_unusual", "home_unknown", "marital_unknown", "job_unknown"),
        *("income_unverified", "time_off_grid", "amount_above_price"),
    ]


def test_every_decision_is_on_record_as_it_was_made(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    applications = synthetic.applications[:500]
    decisions = recording(model, applications, record_files(tmp_path), origin=CALLER)
    answers = [Decision.model_validate_json(renderer_of(model).answer(decided)) for decided in decisions]
    records = [DecisionRecord.model_validate_json(line) for line in lines_of(tmp_path)]
    for application, answer, record in zip(applications, answers, records, strict=True):
        assert record.application.model_dump() == application.model_dump()
        assert record.decision_id == answer.decision_id
        assert (record.status, record.score) == (answer.Status, answer.score)
        assert round(record.probability_of_default, 4) == answer.probability_of_default
        assert record.probability_of_default == probability_of(record.margin)
        assert [reason.code for reason in record.reasons] == [reason.code for reason in answer.reasons]
        assert record.warnings == [warning.code for warning in answer.warnings]
        assert (record.model, record.policy[:12]) == (answer.model, answer.policy)
        assert record.model_sha256 == model.metadata["booster_sha256"]
        assert (record.policy, record.catalogue) == (POLICY.sha256, CATALOGUE.sha256)
        assert record.model_digest == model.digest
        assert (record.request_id, record.caller, record.service) == (*CALLER[:2], RELEASE)
        row = bytes.fromhex(record.features)
        assert struct.unpack(f"<{len(row) // 4}f", row)
        assert model.scorer.margins(model.encoder.matrix([row]))[0] == pytest.approx(record.margin, abs=0)
    assert any(reason.contribution for record in records for reason in record.reasons)


def test_a_record_is_what_the_schema_gives(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    recording(model, [*synthetic.applications[:200], EXAMPLE], record_files(tmp_path), origin=CALLER)
    for line in lines_of(tmp_path):
        written = json.loads(line)
        record = DecisionRecord.model_validate_json(line)
        described = json.loads(record.model_dump_json(by_alias=True, exclude_unset=True))
        assert sorted(written) == sorted(described)
        assert described | {"time": written["time"]} == written
        application = line[line.index(b'"application":') + 14 : line.index(b',"application_sha256"')]
        assert hashlib.sha256(application).hexdigest() == written["application_sha256"]


@pytest.mark.parametrize("scored_by", ["local", "v2+http://[::1]:8080/v2/models/credit_risk_model/versions/1"])
def test_who_scored_is_on_record_only_behind_a_model_server(model: StoredModel, scored_by: str) -> None:
    [decided] = decide(decider_of(model), [EXAMPLE])
    without = renderer_of(model).record(decided)
    line = renderer_of(model).record(decided._replace(scored_by=scored_by))
    assert line == without[:-2] + f',"scored_by":"{scored_by}"}}\n'.encode()
    assert DecisionRecord.model_validate_json(line).scored_by == scored_by
    assert DecisionRecord.model_validate_json(without).scored_by is None


@given(reference=st.text(min_size=1, max_size=64).filter(is_reference))
@example('"</script>\\')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_reference_is_last_in_the_answer_and_on_record(model: StoredModel, reference: str) -> None:
    [decided] = decide(decider_of(model), [EXAMPLE])
    referenced = decided._replace(origin=decided.origin._replace(reference=reference))
    render = renderer_of(model)
    for make in (render.answer, render.record):
        without, line = make(decided), make(referenced)
        end = -2 if without.endswith(b"\n") else -1
        assert json.loads(line) == json.loads(without) | {"reference": reference}
        assert line.startswith(without[:end] + b',"reference":')
        assert line.count(b"\n") == without.count(b"\n")
    assert Decision.model_validate_json(render.answer(referenced)).reference == reference
    assert DecisionRecord.model_validate_json(render.record(referenced)).reference == reference


@given(request_id=st.text(max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_request_id_is_recorded_as_it_is(model: StoredModel, request_id: str) -> None:
    [decided] = decide(decider_of(model), [EXAMPLE], Origin(request_id, None))
    line = renderer_of(model).record(decided)
    assert json.loads(line)["request_id"] == request_id
    assert line.count(b"\n") == 1
