"""The seam between requests and the model: whatever takes an application and comes back with its decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Decision
from credit_risk.serving.decider import Decider


class Runner(Protocol):
    """Decides applications for requests."""

    async def run(self, application: CreditApplication) -> Decision:
        """The decision of one application."""

    async def run_batch(self, applications: Sequence[CreditApplication]) -> list[Decision]:
        """The decisions of many, in order."""


class EmbeddedRunner:
    """Decides in the worker's own process: a second one would cost more than the whole rest of a request."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    async def run(self, application: CreditApplication) -> Decision:
        return self._decider.decide([application])[0]

    async def run_batch(self, applications: Sequence[CreditApplication]) -> list[Decision]:
        return self._decider.decide(applications)
