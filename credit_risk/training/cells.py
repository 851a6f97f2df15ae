"""The cells of a labelled file: codes of the public data set or the words that they stand for, and numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from credit_risk.contract.application import EXAMPLE, FIELDS, NULLABLE, CreditApplication

CODES: dict[str, dict[str, str]] = {
    "status": {"0": "unk", "1": "ok", "2": "default"},
    "home": {"0": "unk", "1": "rent", "2": "owner", "3": "private", "4": "ignore", "5": "parents", "6": "other"},
    "marital": {"0": "unk", "1": "single", "2": "married", "3": "widow", "4": "separated", "5": "divorced"},
    "records": {"1": "no", "2": "yes"},
    "job": {"0": "unk", "1": "fixed", "2": "partime", "3": "freelance", "4": "others"},
}
# The public file's code for a missing value. Read as a number it would be a fortune that nobody has.
MISSING_CODE = "99999999"
MISSING_WORDS = {MISSING_CODE, f"{MISSING_CODE}.0", "", "na", "n/a", "nan", "none", "null"}
REFUSED = object()  # in place of the value of a cell that the contract refuses
_EXAMPLE = EXAMPLE.model_dump()


@lru_cache(maxsize=100_000)
def read_cell(field: str, cell: str) -> Any:
    """Read a cell as the contract's type, or as REFUSED. No field's validity depends on another."""
    try:
        return getattr(CreditApplication.model_validate(_EXAMPLE | {field: _value(field, cell)}), field)
    except ValidationError:
        return REFUSED


def faults_of(cells: dict[str, str]) -> list[str]:
    """Say what is wrong with each refused cell of an application."""
    try:
        CreditApplication.model_validate({field: _value(field, cells[field]) for field in FIELDS})
    except ValidationError as error:
        return [f"column {_column(fault['loc'])}: {_expectation(fault)}" for fault in error.errors()]
    return []


@lru_cache(maxsize=1000)
def status_of(cell: str, default_is: str | None) -> str:
    """Read a status as unk, ok or default, or as itself. `default_is` names a cell of a file with codes of its own."""
    word = cell.strip().lower()
    if default_is is None:
        return CODES["status"].get(word, word)
    if word in MISSING_WORDS:
        return "unk"
    return "default" if word == default_is.strip().lower() else "ok"


def allowed(field: str) -> str:
    """List the codes and the words of a field."""
    return ", ".join(f"{code} {word}" for code, word in CODES[field].items())


def _value(field: str, cell: str) -> Any:
    """Read a cell as the contract's type. What can't be read stays text, for the contract to refuse."""
    text = cell.strip().lower()
    if field in CODES:
        return CODES[field].get(text, text)
    if field in NULLABLE and text in MISSING_WORDS:
        return None
    try:
        number = float(text if text.isascii() and "_" not in text else "no number")
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _column(loc: tuple[int | str, ...]) -> str:
    field = str(loc[0])
    return f"{field} (one of {allowed(field)})" if field in CODES else field


def _expectation(fault: ErrorDetails) -> str:
    """Put a fault in words, without naming the types that the contract tries on the way to a whole number."""
    whole = "input should be a valid integer"
    messages = {"float_type": whole, "int_from_float": whole} if fault["loc"][0] not in NULLABLE else {}
    message = messages.get(fault["type"], fault["msg"][:1].lower() + fault["msg"][1:])
    return f"{message}, with a decimal point instead of a comma" if "," in str(fault["input"]) else message
