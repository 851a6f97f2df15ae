"""The policy: cutoffs and rules that turn a probability of default into a status. It changes without retraining."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import STATUSES, Status
from credit_risk.contract.errors import PolicyError
from credit_risk.contract.yaml_file import load_yaml

Cutoff = Annotated[float, Field(gt=0, lt=1)]
Adverse = Literal["MAYBE", "DECLINED"]


class Cutoffs(BaseModel):
    """Probabilities of default, compared with the unrounded one. A probability equal to a cutoff is not above it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    decline_above: Cutoff
    review_above: Cutoff

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.review_above > self.decline_above:
            raise ValueError("review_above must not be more than decline_above")
        return self


class Rule(BaseModel):
    """A rule on top of the cutoffs. Where it applies, the decision is at least as careful as `outcome`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: bool
    outcome: Adverse


OFF = Rule(enabled=False, outcome="MAYBE")


class LimitRule(Rule):
    """A rule that applies above an amount."""

    limit: Annotated[float, Field(gt=0)]


class Rules(BaseModel):
    """All rules, by name. A rule can only make a decision more careful."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    unverified_income: Rule
    amount_above_price: Rule
    amount_above_limit: LimitRule
    unverified_assets: Rule = OFF
    unverified_debt: Rule = OFF


class Outcome(NamedTuple):
    """What a policy decides about one application."""

    status: Status
    by_score: Status  # what the probability alone would give
    rules: tuple[str, ...]  # codes of the rules that ask for this status


RULE_OF_UNVERIFIED = {"income": "P01", "assets": "P04", "debt": "P05"}
Check = Callable[[CreditApplication], bool]
_BY_SCORE: dict[Status, Outcome] = {status: Outcome(status, status, ()) for status in STATUSES}


class Policy(BaseModel):
    """Cutoffs and rules, as `policy.yaml` holds them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cutoffs: Cutoffs
    rules: Rules

    @property
    def content(self) -> bytes:
        """What decides, as JSON without comments and layout.

        A field that is as it is by default is left out: a policy stays the same when a later version knows more rules.
        """
        return self.model_dump_json(exclude_defaults=True).encode()

    @property
    def sha256(self) -> str:
        """The hash of the content. Cutoffs and rules change it; comments and layout do not."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def version(self) -> str:
        """The start of the content's sha256."""
        return self.sha256[:12]

    @cached_property
    def _enabled(self) -> list[tuple[str, Adverse, Check]]:
        limit = self.rules.amount_above_limit.limit
        rules: list[tuple[str, Rule, Check]] = [
            ("P01", self.rules.unverified_income, lambda application: application.income_unverified),
            ("P02", self.rules.amount_above_price, lambda application: application.amount > application.price),
            ("P03", self.rules.amount_above_limit, lambda application: application.amount > limit),
            ("P04", self.rules.unverified_assets, lambda application: application.assets is None),
            ("P05", self.rules.unverified_debt, lambda application: application.debt is None),
        ]
        return [(code, rule.outcome, applies) for code, rule, applies in rules if rule.enabled]

    def status_of(self, probability_of_default: float) -> Status:
        """Give the status that the cutoffs alone demand for an unrounded probability."""
        if probability_of_default > self.cutoffs.decline_above:
            return "DECLINED"
        return "MAYBE" if probability_of_default > self.cutoffs.review_above else "APPROVED"

    def decide(
        self, probability_of_default: float, application: CreditApplication, missing: Sequence[str] = ()
    ) -> Outcome:
        """Decide an application with this unrounded probability of default.

        `missing` are fields that should have been on file and were not: the rules about them apply, turned on or not.
        """
        by_score = self.status_of(probability_of_default)
        if not self._enabled and not missing:
            return _BY_SCORE[by_score]
        applying = [(code, outcome) for code, outcome, applies in self._enabled if applies(application)]
        applying += [(RULE_OF_UNVERIFIED[field], "MAYBE") for field in missing]
        if not applying:
            return _BY_SCORE[by_score]
        status = max((by_score, *(outcome for _, outcome in applying)), key=STATUSES.index)
        return Outcome(status, by_score, tuple(dict.fromkeys(code for code, outcome in applying if outcome == status)))


def load_policy(path: Path) -> Policy:
    """Read a policy file. Raises PolicyError with a sentence that names the file and what is wrong with it."""
    return load_yaml(path, Policy, lambda fault: PolicyError(f"policy {path} {fault}"))
