"""What `--params` may change about the recipe: parameters by XGBoost's names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from credit_risk.contract.errors import DataError
from credit_risk.contract.yaml_file import load_yaml
from credit_risk.training.recipe import PARAMETERS, ROUNDS

Share = Annotated[float | None, Field(gt=0, le=1)]
AtLeast0 = Annotated[float | None, Field(ge=0)]
# Why parameters that XGBoost knows can't be set.
REFUSED = {
    "base_score": "the booster learns it",
    "booster": "the service needs trees",
    "device": "the same data must give the same booster everywhere",
    "enable_categorical": "the encoder makes a column of each category",
    "eval_metric": "the cross-validation prints every figure",
    "interaction_constraints": "reasons need those of the recipe",
    "missing": "the encoder marks as NaN what is missing",
    "monotone_constraints": "those in docs/training.md always hold",
    "n_jobs": "say --threads",
    "nthread": "say --threads",
    "objective": "the service needs probabilities of default",
    "random_state": "say --seed",
    "scale_pos_weight": "it would raise every probability of default",
    "seed": "say --seed",
    "tree_method": "hist gives the same booster each time",
}


class Parameters(BaseModel):
    """Parameters of XGBoost, with the aliases of its scikit-learn interface. What is None is as in the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    num_boost_round: Annotated[
        int | None, Field(ge=1, le=10_000, validation_alias=AliasChoices("num_boost_round", "n_estimators"))
    ] = None
    eta: Annotated[Share, Field(validation_alias=AliasChoices("eta", "learning_rate"))] = None
    max_depth: Annotated[int | None, Field(ge=1, le=12)] = None
    max_leaves: Annotated[int | None, Field(ge=0, le=4096)] = None
    grow_policy: Literal["depthwise", "lossguide"] | None = None
    max_bin: Annotated[int | None, Field(ge=2, le=4096)] = None
    min_child_weight: AtLeast0 = None
    max_delta_step: AtLeast0 = None
    gamma: Annotated[AtLeast0, Field(validation_alias=AliasChoices("gamma", "min_split_loss"))] = None
    lambda_: Annotated[
        AtLeast0,
        Field(validation_alias=AliasChoices("lambda", "reg_lambda"), serialization_alias="lambda"),
    ] = None
    alpha: Annotated[AtLeast0, Field(validation_alias=AliasChoices("alpha", "reg_alpha"))] = None
    subsample: Share = None
    colsample_bytree: Share = None
    colsample_bylevel: Share = None
    colsample_bynode: Share = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise PydanticCustomError("parameters", "write each parameter on a line, such as max_depth: 3")
        unknown = [_advice(str(name)) for name in given if name not in _names()]
        if unknown:
            raise PydanticCustomError("parameters", "{advice}", {"advice": "; ".join(unknown)})
        return given

    @property
    def rounds(self) -> int:
        return self.num_boost_round or ROUNDS

    def over_the_recipe(self) -> dict[str, Any]:
        """Give all parameters of a booster."""
        return PARAMETERS | self.model_dump(by_alias=True, exclude_none=True, exclude={"num_boost_round"})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of YAML or JSON. Raises DataError that names each parameter at fault, and the fix."""
        return load_yaml(path, cls, lambda fault: DataError(f"parameters {path} {fault}"))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Check parameters. Raises DataError that names each one at fault, and the fix."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors())
            raise DataError(f"the parameters are not valid: {faults}") from None


def _names() -> list[str]:
    """List the names by which parameters may be given."""
    names: list[str] = []
    for name, field in Parameters.model_fields.items():
        alias = field.validation_alias
        names += map(str, alias.choices) if isinstance(alias, AliasChoices) else [name]
    return names


def _advice(name: str) -> str:
    if name in REFUSED:
        return f"{name} can't be set: {REFUSED[name]}; remove it"
    near = difflib.get_close_matches(name, _names(), n=1) or _names()
    return f"there is no {name}; there is {', '.join(near)}"
