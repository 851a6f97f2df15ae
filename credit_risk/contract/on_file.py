"""Which fields the lender has on file, how old they may be, and what to do without a fresh value."""

from __future__ import annotations

import math
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from credit_risk.contract.application import FIELDS, NULLABLE
from credit_risk.contract.errors import FeaturesError
from credit_risk.contract.yaml_file import load_yaml

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(text: object) -> object:
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be a whole number and a unit, such as 90d, 12h, 30m or 45s")
    return int(found[1]) * SECONDS[found[2]]


def _known(field: str) -> str:
    if field not in FIELDS:
        raise ValueError(f"is no field of an application; there are {', '.join(FIELDS)}")
    return field


Age = Annotated[int, BeforeValidator(_seconds), Field(gt=0), PlainSerializer(lambda age: f"{age}s")]  # seconds


class FieldOnFile(BaseModel):
    """How one field is taken from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_age: Age
    otherwise: Literal["refuse", "stale", "missing"]
    stale_up_to: Age | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.otherwise == "stale") != (self.stale_up_to is not None):
            raise ValueError("`otherwise: stale` needs stale_up_to, and nothing else takes it")
        if self.stale_up_to is not None and self.stale_up_to < self.max_age:
            raise ValueError("stale_up_to must not be less than max_age")
        return self


class FieldsOnFile(BaseModel):
    """All fields that are on file, by name, as `features.yaml` holds them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fields: Annotated[dict[Annotated[str, AfterValidator(_known)], FieldOnFile], Field(min_length=1)]

    @model_validator(mode="after")
    def _missing_only_where_null_is_allowed(self) -> Self:
        for name, field in self.fields.items():
            if field.otherwise == "missing" and name not in NULLABLE:
                raise ValueError(f"{name} can't be missing; only {', '.join(NULLABLE)} may be")
        return self

    @cached_property
    def names(self) -> frozenset[str]:
        """The fields that an application with a customer may leave out."""
        return frozenset(self.fields)

    def strictest_age(self, names: tuple[str, ...]) -> float:
        """Give the age in seconds up to which all of these fields are fresh: below 0 if one is not on file."""
        if names not in self._strictest:
            ages = [self.fields[name].max_age if name in self.fields else -math.inf for name in names]
            self._strictest[names] = min(ages, default=-math.inf)
        return self._strictest[names]

    @cached_property
    def _strictest(self) -> dict[tuple[str, ...], float]:
        """The answers given so far. Most customers have the same fields, so there are few."""
        return {}


def load_fields_on_file(path: Path) -> FieldsOnFile:
    """Read a features file. Raises FeaturesError with a sentence that names the file and what is wrong with it."""
    return load_yaml(path, FieldsOnFile, lambda fault: FeaturesError(f"features {path} {fault}"))
