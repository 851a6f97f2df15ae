"""From a probability of default to a status: cutoffs and rules that change without retraining."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.decision import Status
from credit_risk.contract.errors import PolicyError

Cutoff = Annotated[float, Field(gt=0, lt=1)]


class Cutoffs(BaseModel):
    """Probabilities of default, compared with the unrounded one: a probability equal to a cutoff is not above it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    decline_above: Cutoff
    review_above: Cutoff

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.review_above > self.decline_above:
            raise ValueError("review_above must not be more than decline_above")
        return self


class Rule(BaseModel):
    """A rule on top of the cutoffs, which can be on or off."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: bool


class Rules(BaseModel):
    """The rules by name; each can only make a decision more careful."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    unverified_income_to_maybe: Rule


class Policy(BaseModel):
    """Cutoffs and rules, as `policy.yaml` holds them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cutoffs: Cutoffs
    rules: Rules

    @property
    def version(self) -> str:
        """The start of the content's sha256: comments and layout don't change it, cutoffs and rules do."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def decide(self, probability_of_default: float, application: CreditApplication) -> Status:
        """The status of an application with this (unrounded) probability of default."""
        if probability_of_default > self.cutoffs.decline_above:
            return "DECLINED"
        if probability_of_default > self.cutoffs.review_above:
            return "MAYBE"
        if self.rules.unverified_income_to_maybe.enabled and application.income_unverified:
            return "MAYBE"
        return "APPROVED"


class _OnceEach(yaml.SafeLoader):
    """YAML in which no key comes twice; of two, the last would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"{key} is given more than once")
        return super().construct_mapping(node, deep)


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises PolicyError with one sentence that names the file and what is wrong with it.
    """
    try:
        return Policy.model_validate(yaml.load(path.read_text(encoding="utf-8"), _OnceEach))
    except OSError as error:
        raise PolicyError(f"policy {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"policy {path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise PolicyError(f"policy {path} is not valid: {faults}") from None
