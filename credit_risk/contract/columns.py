"""The columns of a table of applications, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from credit_risk.contract.application import FIELDS
from credit_risk.contract.customer import Part
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import extra, missing
from credit_risk.contract.parsing import check_applications

CUSTOMER, REFERENCE = "customer", "reference"
MOST_COLUMNS = 100  # that are told by name if they are too many
UNNAMED = "a column without a name, such as the index of a DataFrame; write the table with index=False"


class Columns:
    """The fields of an application, in the order of a table's columns."""

    def __init__(self, names: Sequence[str], on_file: frozenset[str] | None) -> None:
        """`on_file` are the fields that a table with customers may leave out; without it, none may name them.

        Raises InvalidRequestError with a detail for each column that is missing, unknown or there twice.
        """
        if len(names) > MOST_COLUMNS:
            detail = Detail(loc=[], msg=f"has {len(names)} columns; send {', '.join(FIELDS)} alone", type="too_long")
            raise InvalidRequestError("The table has too many columns", [detail])
        known = (*FIELDS, REFERENCE) if on_file is None else (*FIELDS, REFERENCE, CUSTOMER)
        left_out = on_file or () if CUSTOMER in names else ()
        if set(names).isdisjoint({*FIELDS, CUSTOMER}):  # perhaps a row of values, which no error may repeat
            message = f"the columns must be {', '.join(FIELDS)}; CSV names them in its first line, separated by commas"
            raise InvalidRequestError("The table has no such columns", [Detail(loc=[], msg=message, type="missing")])
        unknown = [name for name in dict.fromkeys(names) if name not in known]
        details = [_unknown(name) for name in unknown]
        details += [_twice(name) for name in known if names.count(name) > 1]
        details += [missing([name]) for name in FIELDS if name not in names and name not in left_out]
        if details:
            faults = f"{len(details)} {'fault' if len(details) == 1 else 'faults'}"
            raise InvalidRequestError(f"{faults} in the columns of the table", details)
        self._names = tuple(names)
        self._on_file = on_file

    def applications(self, rows: Sequence[Sequence[Any]]) -> Part:
        """Make applications of rows. Raises InvalidRequestError with each fault of the first invalid one."""
        for position, row in enumerate(rows):
            if len(row) != len(self._names):
                message = f"has {len(row)} cells; send {len(self._names)}, one for each column"
                detail = Detail(loc=[position], msg=message, type="row_length")
                raise InvalidRequestError("A row does not fit the columns of the table", [detail])
        return check_applications([dict(zip(self._names, row, strict=True)) for row in rows], self._on_file)


def _unknown(name: str) -> Detail:
    return extra(name) if name else Detail(loc=[name], msg=UNNAMED, type="extra_forbidden")


def _twice(name: str) -> Detail:
    return Detail(loc=[name], msg="given more than once; send it once", type="duplicate_key")
