"""Policies for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from credit_risk.contract.policy import Policy
from tests.conftest import PROJECT

RULES = st.fixed_dictionaries({"enabled": st.booleans(), "outcome": st.sampled_from(["MAYBE", "DECLINED"])})
LIMIT = st.one_of(st.integers(1, 100_000).map(float), st.just(5000.0))
POLICIES = st.builds(
    lambda cutoffs, income, price, limit, most, assets, debt: Policy.model_validate(
        {
            "cutoffs": {"review_above": min(cutoffs), "decline_above": max(cutoffs)},
            "rules": {
                "unverified_income": income,
                "amount_above_price": price,
                "amount_above_limit": {**limit, "limit": most},
                "unverified_assets": assets,
                "unverified_debt": debt,
            },
        }
    ),
    st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
    RULES,
    RULES,
    RULES,
    LIMIT,
    RULES,
    RULES,
)
ALL_RULES = Policy.model_validate(
    {
        "cutoffs": {"review_above": 0.3, "decline_above": 0.5},
        "rules": {
            "unverified_income": {"enabled": True, "outcome": "MAYBE"},
            "amount_above_price": {"enabled": True, "outcome": "DECLINED"},
            "amount_above_limit": {"enabled": True, "outcome": "DECLINED", "limit": 2000.0},
            "unverified_assets": {"enabled": True, "outcome": "MAYBE"},
            "unverified_debt": {"enabled": True, "outcome": "MAYBE"},
        },
    }
)


def write_policy(path: Path, **changes: Any) -> Path:
    """Write the bundled policy with some values of its sections changed."""
    content = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    for section, values in changes.items():
        content[section] |= values
    path.write_text(yaml.safe_dump(content))
    return path
