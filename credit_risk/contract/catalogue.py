"""The catalogue of reasons: codes that never change, and their texts in one language, from `reasons.yaml`.

The texts follow sample form C-1 of Regulation B (12 CFR 1002, appendix C) where it has one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from credit_risk.contract.errors import CatalogueError
from credit_risk.contract.yaml_file import load_yaml

SCORE_CODES = ("R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09", "R10")  # from the score
RULE_CODES = ("P01", "P02", "P03")  # from the policy's rules
MAX_REASONS = 4  # "disclosure of more than four reasons is not likely to be helpful": comment 9(b)(2)-1 to Regulation B

Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Catalogue(BaseModel):
    """The texts of all reasons in one language, by code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="Such as en or pt-BR.")]
    reasons: dict[str, Text]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [code for code in SCORE_CODES + RULE_CODES if code not in self.reasons]
        unknown = [code for code in self.reasons if code not in SCORE_CODES + RULE_CODES]
        faults = []
        if missing:
            faults.append(f"no text for {', '.join(missing)}")
        if unknown:
            faults.append(f"there is no {', '.join(unknown)}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def version(self) -> str:
        """The start of the content's sha256. Texts change it; layout and order do not."""
        content = self.model_dump_json(exclude={"reasons"}) + repr(sorted(self.reasons.items()))
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def load_catalogue(path: Path) -> Catalogue:
    """Read a catalogue. Raises CatalogueError with a sentence that names the file and what is wrong with it."""
    return load_yaml(path, Catalogue, lambda fault: CatalogueError(f"catalogue of reasons {path} {fault}"))
