"""What decisions are made by and told in. It may change between two batches, never within one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from credit_risk.contract.policy import Policy
from credit_risk.deciding.rendering import Renderer


class Terms(NamedTuple):
    """A policy, and the renderer of the decisions that are made by it."""

    policy: Policy
    renderer: Renderer


CurrentTerms = Callable[[], Terms]


def always(terms: Terms) -> CurrentTerms:
    """Keep these terms."""
    return lambda: terms
