"""What decisions are made by and told in. It may change between two batches, never within one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from credit_risk.contract.on_file import FieldsOnFile
from credit_risk.contract.policy import Policy
from credit_risk.deciding.rendering import Renderer


class Terms(NamedTuple):
    """A policy, the renderer of the decisions that are made by it, and the fields that are on file."""

    policy: Policy
    renderer: Renderer
    on_file: FieldsOnFile | None = None


CurrentTerms = Callable[[], Terms]


def always(terms: Terms) -> CurrentTerms:
    """Keep these terms."""
    return lambda: terms
