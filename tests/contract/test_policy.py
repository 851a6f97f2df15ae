from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.errors import PolicyError
from credit_risk.contract.policy import Policy, load_policy
from tests.conftest import PROJECT
from tests.corpus import SAMPLE

EARNING = CreditApplication(**{**SAMPLE, "income": 100.0})
NOT_EARNING = [CreditApplication(**{**SAMPLE, "income": income}) for income in (0.0, None)]


def policy(*, decline: float = 0.5, review: float = 0.3, **rules: dict[str, Any]) -> dict[str, Any]:
    """The project's, with these rules on."""
    off = {
        "unverified_income": {"enabled": False, "outcome": "MAYBE"},
        "amount_above_price": {"enabled": False, "outcome": "MAYBE"},
        "amount_above_limit": {"enabled": False, "outcome": "DECLINED", "limit": 5000},
        "unverified_assets": {"enabled": False, "outcome": "MAYBE"},
        "unverified_debt": {"enabled": False, "outcome": "MAYBE"},
    }
    on = {name: off[name] | {"enabled": True} | changes for name, changes in rules.items()}
    return {"cutoffs": {"decline_above": decline, "review_above": review}, "rules": off | on}


def test_the_projects_policy_is_the_tutorials() -> None:
    assert load_policy(PROJECT / "policy.yaml") == Policy.model_validate(policy())


@pytest.mark.parametrize(
    ("probability", "status"),
    [
        (0.0, "APPROVED"),
        (0.3, "APPROVED"),
        (0.3000001, "MAYBE"),
        (0.5, "MAYBE"),
        (0.5000001, "DECLINED"),
        (1.0, "DECLINED"),
    ],
)
def test_a_probability_equal_to_a_cutoff_is_not_above_it(probability: float, status: str) -> None:
    assert Policy.model_validate(policy()).decide(probability, EARNING) == (status, status, ())


@pytest.mark.parametrize("application", NOT_EARNING, ids=["zero", "null"])
def test_unverified_income_is_approved_unless_the_rule_is_on(application: CreditApplication) -> None:
    off, on = Policy.model_validate(policy()), Policy.model_validate(policy(unverified_income={}))
    assert off.decide(0.1, application) == ("APPROVED", "APPROVED", ())
    assert on.decide(0.1, application) == ("MAYBE", "APPROVED", ("P01",))
    assert on.decide(0.9, application) == ("DECLINED", "DECLINED", ())
    assert on.decide(0.1, EARNING) == ("APPROVED", "APPROVED", ())


@pytest.mark.parametrize(("field", "code"), [("assets", "P04"), ("debt", "P05")])
def test_so_are_unverified_assets_and_debt(field: str, code: str) -> None:
    unknown, nothing = (CreditApplication(**{**SAMPLE, field: value}) for value in (None, 0.0))
    rule: dict[str, Any] = {f"unverified_{field}": {}}
    off, on = Policy.model_validate(policy()), Policy.model_validate(policy(**rule))
    assert off.decide(0.1, unknown) == ("APPROVED", "APPROVED", ())
    assert on.decide(0.1, unknown) == ("MAYBE", "APPROVED", (code,))
    assert on.decide(0.1, nothing) == ("APPROVED", "APPROVED", ())


def test_a_file_may_leave_the_newer_rules_out_and_keeps_its_version() -> None:
    older = policy()
    for name in ("unverified_assets", "unverified_debt"):
        del older["rules"][name]
    assert Policy.model_validate(older).version == Policy.model_validate(policy()).version == "d217c98f5817"
    assert Policy.model_validate(policy(unverified_debt={})).version != Policy.model_validate(older).version


def test_a_hard_rule_decides_whatever_the_score() -> None:
    above = CreditApplication(**{**SAMPLE, "income": 100.0, "amount": 6000, "price": 5500})
    strict = Policy.model_validate(policy(amount_above_limit={}, amount_above_price={}))
    assert strict.decide(0.01, above) == ("DECLINED", "APPROVED", ("P03",))
    assert strict.decide(0.9, above) == ("DECLINED", "DECLINED", ("P03",))
    assert strict.decide(0.01, EARNING) == ("APPROVED", "APPROVED", ())
    both = Policy.model_validate(policy(amount_above_limit={"outcome": "MAYBE"}, amount_above_price={}))
    assert both.decide(0.4, above) == ("MAYBE", "MAYBE", ("P02", "P03"))


@given(
    probability=st.floats(0, 1),
    amount=st.integers(1, 10_000),
    income=st.sampled_from([0.0, None, 100.0]),
    rules=st.dictionaries(
        st.sampled_from(["unverified_income", "amount_above_price", "amount_above_limit", "unverified_debt"]),
        st.sampled_from(["MAYBE", "DECLINED"]),
    ),
)
def test_rules_only_make_a_decision_more_careful(
    probability: float, amount: int, income: float | None, rules: dict[str, str]
) -> None:
    application = CreditApplication(**{**SAMPLE, "amount": amount, "income": income})
    changes: dict[str, Any] = {name: {"outcome": outcome} for name, outcome in rules.items()}
    with_rules = Policy.model_validate(policy(**changes))
    outcome = with_rules.decide(probability, application)
    order = ["APPROVED", "MAYBE", "DECLINED"]
    assert outcome.by_score == Policy.model_validate(policy()).decide(probability, application).status
    assert order.index(outcome.status) >= order.index(outcome.by_score)
    assert bool(outcome.rules) >= (outcome.status != outcome.by_score)


def test_the_version_is_that_of_the_content(tmp_path: Path) -> None:
    written = tmp_path / "policy.yaml"
    written.write_text("# a comment\n" + yaml.safe_dump(policy(), sort_keys=True))
    assert load_policy(written).version == load_policy(PROJECT / "policy.yaml").version
    assert Policy.model_validate(policy(decline=0.51)).version != load_policy(written).version


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (yaml.safe_dump(policy(decline=0.2)), "review_above must not be more than decline_above"),
        (yaml.safe_dump(policy(decline=1.5)), "cutoffs.decline_above"),
        (yaml.safe_dump(policy() | {"cutofs": {}}), "cutofs"),
        (yaml.safe_dump({"cutoffs": policy()["cutoffs"]}), "rules"),
        ("rules: [", "is not YAML"),
        ("cutoffs: {decline_above: 0.5, review_above: 0.3, review_above: 0.1}", "review_above is given more than once"),
        ("", "the file"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_bad_policy_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as refused:
        load_policy(path)
    assert named in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_absent_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="can't be read: No such file"):
        load_policy(tmp_path / "nowhere.yaml")
