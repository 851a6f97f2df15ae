"""Decisions by column are those of single applications."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import RULE_CODES
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.policy import Policy
from credit_risk.contract.warning import WARNINGS, warnings_of
from credit_risk.deciding.columns import oddities, outcomes
from credit_risk.model.table import columns_of
from tests.deciders import POLICY
from tests.model.test_features import APPLICATIONS
from tests.policies import POLICIES


@given(
    cases=st.lists(st.tuples(APPLICATIONS, st.floats(0, 1) | st.sampled_from([0.3, 0.5])), min_size=1, max_size=8),
    policy=POLICIES | st.just(POLICY),
)
def test_outcomes_are_those_of_the_policy(cases: list[tuple[CreditApplication, float]], policy: Policy) -> None:
    probabilities = np.array([probability for _, probability in cases])
    by_score, status, rules = outcomes(policy, probabilities, columns_of([application for application, _ in cases]))
    for place, (application, probability) in enumerate(cases):
        expected = policy.decide(probability, application)
        assert STATUSES[by_score[place]] == expected.by_score
        assert STATUSES[status[place]] == expected.status
        assert tuple(code for bit, code in enumerate(RULE_CODES) if rules[place] >> bit & 1) == expected.rules


@given(st.lists(APPLICATIONS, min_size=1, max_size=8))
def test_oddities_are_the_contracts_warnings(applications: list[CreditApplication]) -> None:
    for application, bits in zip(applications, oddities(columns_of(applications)).tolist(), strict=True):
        assert [w for bit, w in enumerate(WARNINGS) if bits >> bit & 1] == warnings_of(application)
