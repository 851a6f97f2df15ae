"""A credit application: its 13 fields and their allowed values."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Home = Literal["rent", "owner", "private", "ignore", "parents", "other", "unk"]
Marital = Literal["single", "married", "widow", "separated", "divorced", "unk"]
Records = Literal["no", "yes"]
Job = Literal["fixed", "partime", "freelance", "others", "unk"]


class _WrittenAsFloatToo:
    """Marks a whole number that may also be written with a decimal point, as in 36.0; 36.5 is still refused.

    pandas writes whole numbers like this. Strict mode would refuse them, and lax mode would accept "36" and true.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        whole: Any = {**handler(source), "strict": False}
        return core_schema.chain_schema([core_schema.float_schema(strict=True, allow_inf_nan=False), whole])

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema["steps"][-1])


_FLOAT_TOO = _WrittenAsFloatToo()
Age = Annotated[int, Field(ge=18, le=100, description="Age in years. The default model does not use it."), _FLOAT_TOO]


class CreditApplication(BaseModel):
    """One application for credit.

    Money is in the units of the training data, which are probably thousands of pesetas; income and expenses are
    monthly. `null` is the only way to say "unknown", and only income, assets and debt may be unknown.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    seniority: Annotated[int, Field(ge=0, le=60, description="Years in the current job."), _FLOAT_TOO]
    home: Annotated[Home, Field(description="Housing.")]
    time: Annotated[int, Field(ge=1, le=120, description="Requested term of the loan, in months."), _FLOAT_TOO]
    age: Age
    marital: Annotated[Marital, Field(description="Marital status. The default model does not use it.")]
    records: Annotated[Records, Field(description="Whether there are adverse payment records.")]
    job: Annotated[Job, Field(description="Type of employment.")]
    expenses: Annotated[int, Field(ge=0, le=10_000, description="Monthly living expenses."), _FLOAT_TOO]
    income: Annotated[float | None, Field(ge=0, le=100_000, description="Monthly income; null if unknown.")]
    assets: Annotated[float | None, Field(ge=0, le=10_000_000, description="Value of assets; null if unknown.")]
    debt: Annotated[float | None, Field(ge=0, le=10_000_000, description="Outstanding debt; null if unknown.")]
    amount: Annotated[int, Field(ge=1, le=100_000, description="Requested amount of the loan."), _FLOAT_TOO]
    price: Annotated[int, Field(ge=1, le=1_000_000, description="Price of what the loan will buy."), _FLOAT_TOO]

    @property
    def income_unverified(self) -> bool:
        """Whether no income is known. In the training data 57 % of such applicants defaulted, twice the average."""
        return not self.income


class ScoredApplication(CreditApplication):
    """An application as it is on record. Age and marital status are null if it came as a row without them."""

    age: Age | None  # type: ignore[assignment] # only warnings read it, and what follows from a model that uses it
    marital: Marital | None  # type: ignore[assignment]


FIELDS: tuple[str, ...] = tuple(CreditApplication.model_fields)
CATEGORIES: dict[str, tuple[str, ...]] = {
    "home": get_args(Home),
    "marital": get_args(Marital),
    "records": get_args(Records),
    "job": get_args(Job),
}
NULLABLE = ("income", "assets", "debt")

# The tutorial's own sample.
EXAMPLE = CreditApplication.model_validate(
    {
        "seniority": 3,
        "home": "owner",
        "time": 36,
        "age": 26,
        "marital": "single",
        "records": "no",
        "job": "freelance",
        "expenses": 35,
        "income": 0.0,
        "assets": 60000.0,
        "debt": 3000.0,
        "amount": 800,
        "price": 1000,
    }
)
