"""The catalogue of reasons: codes that never change, and their texts in one language, from `reasons.yaml`.

The texts follow sample form C-1 of Regulation B (12 CFR 1002, appendix C) where it has one.
"""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from credit_risk.contract.errors import CatalogueError
from credit_risk.contract.yaml_file import load_yaml

SCORE_CODES = tuple(f"R{number:02}" for number in range(1, 20))  # from the score
RULE_CODES = ("P01", "P02", "P03", "P04", "P05")  # from the policy's rules
# What a rule and the score can both say. If the rule does, the score need not, so the texts may be the same.
SAID_BY_RULE = {"P01": "R09", "P04": "R14", "P05": "R15"}
MAX_REASONS = 4  # "disclosure of more than four reasons is not likely to be helpful": comment 9(b)(2)-1 to Regulation B

PROTECTED_CODES = ("R18", "R19")  # age and marital status, which no person may decide by (12 CFR 1002.4(a))
ReviewCode = Annotated[str, StringConstraints(pattern=r"^V[0-9]{2}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Catalogue(BaseModel):
    """The texts of all reasons in one language, by code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="Such as en or pt-BR.")]
    reasons: dict[str, Text]
    review: Annotated[
        dict[ReviewCode, Text], Field(description="What only a person finds out, such as V01; codes are yours to add.")
    ] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [code for code in SCORE_CODES + RULE_CODES if code not in self.reasons]
        unknown = [code for code in self.reasons if code not in SCORE_CODES + RULE_CODES]
        faults = []
        if missing:
            faults.append(f"no text for {', '.join(missing)}")
        if unknown:
            faults.append(f"there is no {', '.join(unknown)}")
        faults += [f"{one} and {other} have the same text" for one, other in self._confused()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _confused(self) -> list[tuple[str, str]]:
        """List the codes of equal texts, unless no answer can have both. An applicant could not tell them apart."""
        texts = {code: " ".join(text.split()).casefold() for code, text in self.reasons.items()}
        pairs = [(one, other) for one, other in combinations(sorted(texts), 2) if texts[one] == texts[other]]
        return [(one, other) for one, other in pairs if SAID_BY_RULE.get(one) != other]

    @property
    def content(self) -> bytes:
        """What is told, as JSON without layout, in the order of the codes."""
        ordered = {"reasons": dict(sorted(self.reasons.items())), "review": dict(sorted(self.review.items()))}
        # Without codes for reviews the content is what it was before there were any.
        exclude = set() if self.review else {"review"}
        return self.model_copy(update=ordered).model_dump_json(exclude=exclude).encode()

    @property
    def for_reviews(self) -> dict[str, str]:
        """The texts that a person may decline for, by code."""
        return {code: text for code, text in (self.reasons | self.review).items() if code not in PROTECTED_CODES}

    @property
    def sha256(self) -> str:
        """The hash of the content. Texts change it; layout and order do not."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def version(self) -> str:
        """The start of the content's sha256."""
        return self.sha256[:12]


def load_catalogue(path: Path) -> Catalogue:
    """Read a catalogue. Raises CatalogueError with a sentence that names the file and what is wrong with it."""
    return load_yaml(path, Catalogue, lambda fault: CatalogueError(f"catalogue of reasons {path} {fault}"))
