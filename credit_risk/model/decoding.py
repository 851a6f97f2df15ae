"""From the rows that a model reads back to applications: the inverse of `Encoder`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import ValidationError

from credit_risk.contract.application import CATEGORIES, FIELDS, NULLABLE, CreditApplication, ScoredApplication
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import fault_error, located, summary
from credit_risk.contract.rows import Row, parse_row, parse_rows_in_parts
from credit_risk.model.features import UNKNOWN
from credit_risk.model.ratios import MONTHS_OF_DEBT, RATIO_BY_NAME

FINANCING, FREE_INCOME = "financing_ratio", "free_income_ratio"
TOLERANCE = 1e-6  # of a ratio; float32 rounds by up to 6e-8 of it
HIGHEST_PRICE = 1_000_000.5  # that is rounded to an allowed one


class Decoder:
    """Decodes rows of numbers, as a DictVectorizer or `Encoder` makes them. What they can't mean is refused.

    The price is what the financing ratio and the amount make it. Age and marital status are None, unless the model uses
    them.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: those of the encoder."""
        self.names = tuple(names)
        column = {name: index for index, name in enumerate(names)}
        self._numeric = [(name, index) for name, index in column.items() if name in FIELDS]
        self._money = [(name, column[name]) for name in NULLABLE]
        self._kind = CreditApplication if "age" in column else ScoredApplication
        self._financing = column[FINANCING]
        self._free_income = column[FREE_INCOME]
        self._categories = {
            field: {word: column[f"{field}={word}"] for word in words if f"{field}={word}" in column}
            for field, words in CATEGORIES.items()
            if any(name.startswith(f"{field}=") for name in names)
        }

    def parse_row(self, body: bytes) -> CreditApplication:
        """Parse a JSON array of numbers as one application. Raises InvalidRequestError with a detail for each fault."""
        return self.decode(parse_row(body, self.names))

    def parse_in_parts(self, body: bytes) -> Iterator[list[CreditApplication]]:
        """Parse a JSON array of rows a part at a time.

        Raises InvalidRequestError with a detail for each fault of the first invalid row.
        """
        first = 0
        for rows in parse_rows_in_parts(body, self.names):
            yield self._decode_all(rows, first)
            first += len(rows)

    def _decode_all(self, rows: Sequence[Row], first: int) -> list[CreditApplication]:
        """Decode rows, of which the first is at this position. Raises InvalidRequestError about the first at fault."""
        applications = []
        for position, row in enumerate(rows, first):
            try:
                applications.append(self.decode(row))
            except InvalidRequestError as error:
                raise located(error, position) from None
        return applications

    def decode(self, row: Row) -> CreditApplication:
        """Decode one row. Raises InvalidRequestError with a detail for each fault."""
        details: list[Detail] = []
        values: dict[str, float | str | None] = {"age": None, "marital": None}
        values |= {name: row[index] for name, index in self._numeric}
        values |= _as_written({name: row[index] for name, index in self._money}, row)
        for field, columns in self._categories.items():
            word = _word_of(field, columns, row)
            if word is None:
                details.append(_category_fault(field, columns))
            values[field] = word or CATEGORIES[field][0]
        price = _price_of(values["amount"], row[self._financing])
        if price is None:
            details.append(_ratio_fault(FINANCING, "must be amount / price, of a whole price from 1 to 1000000"))
        values["price"] = price or 1
        try:
            application = self._kind.model_validate(values)
        except ValidationError as error:
            details += fault_error(b"{}", error).detail
        else:
            if not details and not _is_free_income(row[self._free_income], application):
                fix = f"must be max(0, income - expenses - debt / {MONTHS_OF_DEBT}) / amount, or null if one is null"
                details.append(_ratio_fault(FREE_INCOME, fix))
        if details:
            raise InvalidRequestError(summary(details, len(details)), details)
        return application


def _as_written(money: dict[str, float | None], row: Row) -> dict[str, float | None]:
    """Give the shortest numbers that a row of float32 stands for: 129.3, and not 129.30000305175781, which it holds."""
    if all(value is None or value.is_integer() for value in money.values()):
        return money
    known = [cell for cell in row if cell is not None]
    with np.errstate(over="ignore"):
        if np.array(known, np.float32).tolist() != known:
            return money
    return {name: None if value is None else float(str(np.float32(value))) for name, value in money.items()}


def _word_of(field: str, columns: dict[str, int], row: Row) -> str | None:
    """Give the word that the columns of a category mean, or None."""
    cells = {word: row[index] for word, index in columns.items()}
    if all(cell is None for cell in cells.values()):
        return UNKNOWN if UNKNOWN in CATEGORIES[field] else None
    if not all(cell in (0, 1) for cell in cells.values()):
        return None
    words = [word for word, cell in cells.items() if cell]
    # A word that was not seen in training has no column.
    words = words or [word for word in CATEGORIES[field] if word not in columns and word != UNKNOWN]
    return words[0] if len(words) == 1 else None


def _price_of(amount: float | str | None, ratio: float | None) -> int | None:
    """Find the whole price that makes this ratio, or None. The amount may be at fault itself."""
    if not isinstance(amount, float) or amount < 1:
        return 1
    if ratio is None or not amount / HIGHEST_PRICE < ratio <= 2 * amount:
        return None
    price = round(amount / ratio)
    return price if price and abs(ratio - amount / price) <= TOLERANCE * ratio else None


def _is_free_income(ratio: float | None, application: CreditApplication) -> bool:
    """Tell whether the ratio is that of the application."""
    expected = RATIO_BY_NAME[FREE_INCOME].of_application(application)
    if ratio is None or math.isnan(expected):
        return ratio is None and math.isnan(expected)
    # Rounded to float32, a small difference of large numbers is off by more than its own size tells.
    income, debt = application.income or 0.0, application.debt or 0.0
    terms = (income + application.expenses + debt / MONTHS_OF_DEBT) / application.amount
    return abs(ratio - expected) <= TOLERANCE * terms


def _category_fault(field: str, columns: dict[str, int]) -> Detail:
    names = ", ".join(f"{field}={word}" for word in columns)
    unknown = ", or all null if it is unknown" if UNKNOWN in CATEGORIES[field] else ""
    return Detail(loc=[field], msg=f"of {names}, one must be 1 and the others 0{unknown}", type="one_hot")


def _ratio_fault(name: str, fix: str) -> Detail:
    return Detail(loc=[name], msg=fix, type="ratio")
