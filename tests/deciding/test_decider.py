"""A batch's way through the decider, with scoring and logs that fail, answer late, or do nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.errors import RequestError, UnavailableError
from credit_risk.deciding.columns import decide_columns
from credit_risk.deciding.decided import Decided
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.log import FakeLog, NoLog
from credit_risk.deciding.scoring import InProcessScoring, Score
from credit_risk.model.store import StoredModel
from credit_risk.model.table import columns_of
from credit_risk.training.data import Dataset
from tests.deciders import ORIGIN, POLICY, decide, decider_of, terms_of
from tests.policies import ALL_RULES


class Failing:
    """Scores as the model does, but fails for some rows: each alone, or the whole batch."""

    def __init__(self, model: StoredModel, poisoned: Sequence[CreditApplication]) -> None:
        self._scoring = InProcessScoring(model)
        self._poisoned = {model.encoder.encode(application) for application in poisoned}
        self.error: Exception = ValueError("poison")
        self.fails_alone = False
        self.sizes: list[int] = []

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score | RequestError]:
        self.sizes.append(len(rows))
        scores: list[Score | RequestError] = [*await self._scoring.score(rows, review_above)]
        for number, row in enumerate(rows):
            if row in self._poisoned:
                if not self.fails_alone:
                    raise self.error
                assert isinstance(self.error, RequestError)
                scores[number] = self.error
        return scores


def outcomes_of(coroutine: Coroutine[Any, Any, list[Any]]) -> list[type]:
    return [type(outcome) for outcome in asyncio.run(coroutine)]


def test_in_this_process_nothing_suspends(model: StoredModel, synthetic: Dataset) -> None:
    deciding = decider_of(model, log=FakeLog()).decide(synthetic.applications[:10], [ORIGIN] * 10)
    with pytest.raises(StopIteration) as stopped:
        deciding.send(None)
    assert [type(outcome) for outcome in stopped.value.value] == [Decided] * 10


def test_decision_ids_are_unique_and_sort_by_time(model: StoredModel, synthetic: Dataset) -> None:
    decider = decider_of(model)
    ids = [d.decision_id for _ in range(2) for d in decide(decider, synthetic.applications[:500])]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)


def test_warming_up_decides_nothing(model: StoredModel) -> None:
    log = FakeLog()
    asyncio.run(decider_of(model, log=log).warm_up())
    assert log.decisions == []


def test_an_application_at_fault_fails_alone_and_nothing_is_recorded_twice(
    model: StoredModel, synthetic: Dataset
) -> None:
    applications, log = synthetic.applications[:20], FakeLog()
    decider = decider_of(model, scoring=Failing(model, [applications[7]]), log=log)
    found = outcomes_of(decider.decide(applications, [ORIGIN] * 20))
    assert found == [ValueError if number == 7 else Decided for number in range(20)]
    assert [decided.application for decided in log.decisions] == applications[:7] + applications[8:]
    assert len({decided.decision_id for decided in log.decisions}) == 19


def test_a_part_that_could_not_be_scored_fails_alone(model: StoredModel, synthetic: Dataset) -> None:
    applications, log = synthetic.applications[:20], FakeLog()
    scoring = Failing(model, applications[5:9])
    scoring.fails_alone, scoring.error = True, UnavailableError("elsewhere")
    found = outcomes_of(decider_of(model, scoring=scoring, log=log).decide(applications, [ORIGIN] * 20))
    assert found == [UnavailableError if 5 <= number < 9 else Decided for number in range(20)]
    assert [decided.application for decided in log.decisions] == applications[:5] + applications[9:]
    assert scoring.sizes == [20]


def test_scoring_that_is_unavailable_is_not_asked_again_for_each_row(model: StoredModel, synthetic: Dataset) -> None:
    scoring = Failing(model, synthetic.applications[:1])
    scoring.error = UnavailableError("elsewhere")
    found = outcomes_of(decider_of(model, scoring=scoring).decide(synthetic.applications[:20], [ORIGIN] * 20))
    assert found == [UnavailableError] * 20
    assert scoring.sizes == [20]


def test_what_is_not_on_record_is_not_decided(model: StoredModel, synthetic: Dataset) -> None:
    log = FakeLog()
    log.error = UnavailableError("full")
    scoring = Failing(model, [synthetic.applications[3]])
    decider = decider_of(model, scoring=scoring, log=log)
    found = outcomes_of(decider.decide(synthetic.applications[:5], [ORIGIN] * 5))
    assert found == [ValueError if number == 3 else UnavailableError for number in range(5)]
    assert log.decisions == []


@pytest.mark.parametrize(
    ("rule", "score", "changes"),
    [
        ("P01", "R09", {"income": None}),
        ("P04", "R14", {"assets": None}),
        ("P05", "R15", {"debt": None}),
    ],
)
def test_what_a_rule_says_the_score_does_not_say_again(
    model: StoredModel, synthetic: Dataset, rule: str, score: str, changes: dict[str, None]
) -> None:
    """The same in one answer as in a table."""
    applications = [a.model_copy(update=changes) for a in synthetic.applications[:300]]
    by_policy = {}
    for policy in (POLICY, ALL_RULES):
        decisions = decide(decider_of(model, policy=policy), applications)
        by_policy[policy.version] = [[code for code, _ in decided.reasons] for decided in decisions]
        assert decide_columns(columns_of(applications), model, policy).reasons == [
            *map(tuple, by_policy[policy.version])
        ]
    without, with_rules = by_policy.values()
    assert sum(score in codes for codes in without) > 30
    assert sum(rule in codes for codes in with_rules) > 30
    assert not any({rule, score} <= set(codes) for codes in with_rules)


def test_equal_applications_of_one_request_are_scored_once(model: StoredModel, synthetic: Dataset) -> None:
    scoring = Failing(model, [])
    applications = [*synthetic.applications[:3]] * 40
    parts = [applications[:50], [*applications[50:], EXAMPLE]]
    decisions = asyncio.run(decider_of(model, scoring=scoring).decide_all(parts, ORIGIN))
    assert scoring.sizes == [3, 1]
    assert [decided.application for decided in decisions] == [*applications, EXAMPLE]


def test_a_change_of_policy_waits_for_the_end_of_a_large_request(model: StoredModel, synthetic: Dataset) -> None:
    before, after = terms_of(model)(), terms_of(model, ALL_RULES)()
    upcoming = [before, after]
    decider = Decider(model.encoder, InProcessScoring(model), lambda: upcoming.pop(0), NoLog())
    parts = [synthetic.applications[:5], synthetic.applications[5:10]]
    decisions = asyncio.run(decider.decide_all(parts, ORIGIN))
    assert {id(decided.renderer) for decided in decisions} == {id(before.renderer)}
    later = asyncio.run(decider.decide_all(parts, ORIGIN))
    assert {id(decided.renderer) for decided in later} == {id(after.renderer)}


def test_applications_that_are_decided_one_by_one_after_a_fault_are_decided_by_the_same_terms(
    model: StoredModel, synthetic: Dataset
) -> None:
    before, after = terms_of(model)(), terms_of(model, ALL_RULES)()
    upcoming, log = [before, after], FakeLog()
    applications = synthetic.applications[:5]
    decider = Decider(model.encoder, Failing(model, [applications[3]]), lambda: upcoming.pop(0), log)
    asyncio.run(decider.decide(applications, [ORIGIN] * 5))
    assert {id(decided.renderer) for decided in log.decisions} == {id(before.renderer)}
