"""The lender's own ids: of a customer, of whom an application may leave out what is on file, and of an application."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, create_model

from credit_risk.contract.application import FIELDS, CreditApplication

LONGEST = 64  # characters


def _printable(customer: str) -> str:
    if not customer.isprintable():
        raise ValueError
    return customer


Customer = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, description="The lender's id of the customer; never scored."),
    AfterValidator(_printable),
]
CUSTOMER: TypeAdapter[str] = TypeAdapter(Customer)
Reference = Annotated[
    str,
    Field(
        min_length=1, max_length=LONGEST, description="The lender's own id of the application; on record, never scored."
    ),
    AfterValidator(_printable),
]


def is_reference(value: object) -> bool:
    """Tell whether a value can be an application's reference."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


class CustomerApplication(NamedTuple):
    """An application as it was sent, before it is completed from the file."""

    customer: str
    sent: dict[str, Any]  # the fields that were sent, checked
    lacking: list[str]  # the fields that were left out

    @classmethod
    def of(cls, customer: str, sent: dict[str, Any]) -> CustomerApplication:
        return cls(customer, sent, [field for field in FIELDS if field not in sent])


Asked = CreditApplication | CustomerApplication


class Referenced(NamedTuple):
    """An application from among those of which some have a reference."""

    application: Asked
    reference: str | None


Part = Sequence[Asked] | Sequence[Referenced]  # some applications of a request


@cache
def form_of(on_file: frozenset[str] | None, *, referenced: bool) -> type[BaseModel]:
    """Make the model of an application that may name a customer and leave out the fields that are on file.

    Without `on_file` it may not. If it is `referenced`, it may have a reference.

    `model_fields_set` of an instance tells what was sent. That what is left out needs a customer is for the caller to
    check.
    """
    fields: dict[str, Any] = {} if on_file is None else {"customer": (Customer, None)}
    if referenced:
        fields["reference"] = (Reference, None)
    for name in on_file or ():
        field = copy(CreditApplication.model_fields[name])
        field.default = None
        fields[name] = (field.annotation, field)
    return create_model("CustomerApplication", __base__=CreditApplication, **fields)
