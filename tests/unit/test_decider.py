from __future__ import annotations

from collections.abc import Sequence

import pytest

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import Decision
from credit_risk.contract.policy import load_policy
from credit_risk.model.data import Dataset
from credit_risk.model.store import StoredModel
from credit_risk.serving.decider import Decider, Origin
from credit_risk.serving.decision_log import NoLog
from credit_risk.serving.metrics import Metrics
from tests.conftest import PROJECT

CATALOGUE = load_catalogue(PROJECT / "reasons.yaml")
ODD = EXAMPLE.model_copy(update={"home": "unk", "marital": "unk", "job": "unk", "time": 7, "amount": 99_999, "age": 18})


@pytest.fixture
def decider(model: StoredModel) -> Decider:
    return Decider(model, load_policy(PROJECT / "policy.yaml"), CATALOGUE, NoLog(), Metrics())


def decide(decider: Decider, applications: Sequence[CreditApplication]) -> list[bytes]:
    return decider.decide(applications, [Origin("a request", None)] * len(applications))


def test_the_bytes_are_those_of_a_decision(decider: Decider, synthetic: Dataset) -> None:
    for answer in decide(decider, [*synthetic.applications, EXAMPLE, ODD]):
        assert Decision.model_validate_json(answer, strict=True).model_dump_json().encode() == answer


def test_decision_ids_are_unique_and_sort_by_time(decider: Decider, synthetic: Dataset) -> None:
    answers = decide(decider, synthetic.applications[:500]) + decide(decider, synthetic.applications[:500])
    ids = [Decision.model_validate_json(answer).decision_id for answer in answers]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)


def test_warming_up_decides_nothing(decider: Decider) -> None:
    decider.warm_up()
    assert decider._metrics.statuses == []


def test_all_warnings_of_an_odd_application_are_in_the_answer(decider: Decider) -> None:
    [answer] = decide(decider, [CreditApplication.model_validate(ODD.model_dump())])
    codes = [warning.code for warning in Decision.model_validate_json(answer).warnings]
    assert codes == [
        *("amount_unusual", "home_unknown", "marital_unknown", "job_unknown"),
        *("income_unverified", "time_off_grid", "amount_above_price"),
    ]
