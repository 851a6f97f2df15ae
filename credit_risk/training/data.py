"""From a CSV file to labelled applications; default = 1 is the event.

Cells may hold the numeric codes of the public data set or the words that they stand for, and the header any case.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from credit_risk.contract.application import FIELDS, NULLABLE, CreditApplication
from credit_risk.contract.errors import DataError
from credit_risk.model.features import Columns, columns_of

DataSource = Literal["synthetic", "real"]

# Files that are known by their sha256: the public data set, and the synthetic rows in data/.
PUBLIC_FILE = "b42d4fb62b3c1e3428b295d1f152e71ec79e003f86cfa23d7ddb1fc7ea1f624f"
KNOWN_FILES: dict[str, DataSource] = {
    PUBLIC_FILE: "real",
    "fe89ec3225e44c7811d35917902ba77ed34e23ae26cbe90ce4b4616793e155e1": "synthetic",
}
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
MIN_OUTCOMES = 50  # so that every fold holds some of each
MAX_PROBLEMS = 20  # listed in one error; all are counted


@dataclass(frozen=True)
class Dataset:
    """Labelled applications: what was asked for, and whether it was paid back."""

    applications: list[CreditApplication]
    default: NDArray[np.int64]  # 1 where the applicant defaulted, (n,)
    sha256: str  # of the file
    source: DataSource  # a model of synthetic rows is for trying out, not for lending

    @cached_property
    def columns(self) -> Columns:
        """The applications as a table."""
        return columns_of(self.applications)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For each row the first row equal to it, (n,). Rows that were entered twice must not be split up."""
        first: dict[tuple[object, ...], int] = {}
        rows = zip(self.applications, self.default.tolist(), strict=True)
        keys = [(*application.__dict__.values(), default) for application, default in rows]
        return np.array([first.setdefault(key, row) for row, key in enumerate(keys)])

    def __len__(self) -> int:
        return len(self.applications)


def load_dataset(path: Path, source: DataSource | None = None) -> Dataset:
    """Read labelled applications. Rows with an unknown status are left out.

    `source` says where the rows come from. By default they count as real, unless the file is a known one.

    Raises DataError that lists the line and column of each malformed cell.
    """
    content, text = _read(path)
    applications: list[CreditApplication] = []
    default: list[int] = []
    problems: list[str] = []
    for line, cells in _rows(text, path):
        found = _malformed_row(cells) or _malformed_status(cells)
        if not found:
            status = _word("status", cells["status"])
            application, found = _application(cells)
            if application is not None and status != "unk":
                applications.append(application)
                default.append(int(status == "default"))
        problems += [f"line {line}, {problem}" for problem in found]
    if problems:
        raise DataError(f"{path} has {_counted(problems)}", problems[:MAX_PROBLEMS])
    _check_outcomes(path, applications, default)
    sha256 = hashlib.sha256(content).hexdigest()
    return Dataset(applications, np.array(default), sha256, source or KNOWN_FILES.get(sha256, "real"))


def _read(path: Path) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
        return content, content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from None


def _application(cells: dict[str, str]) -> tuple[CreditApplication | None, list[str]]:
    """Read the application of a row, or say what is wrong with its columns."""
    try:
        return CreditApplication.model_validate({field: _value(field, cells[field]) for field in FIELDS}), []
    except ValidationError as error:
        faults = error.errors()
    return None, [f"column {_column(fault['loc'])}: {_expectation(fault)}" for fault in faults]


def _counted(problems: list[str]) -> str:
    found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return found if len(problems) <= MAX_PROBLEMS else f"{found} (the first {MAX_PROBLEMS} are listed)"


def _check_outcomes(path: Path, applications: list[CreditApplication], default: list[int]) -> None:
    for status, outcome in (("ok", 0), ("default", 1)):
        different = {a for a, found in zip(applications, default, strict=True) if found == outcome}
        if len(different) < MIN_OUTCOMES:
            raise DataError(
                f"{path} has {len(different)} different applications with status {status}; "
                f"a model that can be tested needs {MIN_OUTCOMES} of each outcome"
            )


def _rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="beyond the header")
    header = [name.strip().lower() for name in reader.fieldnames or []]
    absent = [field for field in ("status", *FIELDS) if field not in header]
    if absent:
        raise DataError(f"{path} lacks the {_columns(absent)}; its first line must name them, separated by commas")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the {_columns(twice)} more than once")
    reader.fieldnames = header
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"{path} is not CSV from line {reader.line_num + 1} on: {error}; is a quote left open?"
        ) from None


def _columns(names: list[str]) -> str:
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}"


def _malformed_row(cells: dict[str, Any]) -> list[str]:
    if "beyond the header" in cells:
        return ["more cells than the header names"]
    return [f"column {name}: the row ends before it" for name, cell in cells.items() if cell is None][:1]


def _malformed_status(cells: dict[str, str]) -> list[str]:
    if _word("status", cells["status"]) in CODES["status"].values():
        return []
    return [f"column status: must be one of {_allowed('status')}"]


def _word(field: str, cell: str) -> str:
    word = cell.strip().lower()
    return CODES[field].get(word, word)


def _value(field: str, cell: str) -> Any:
    """Read a cell as the contract's type. What can't be read stays text, for the contract to refuse."""
    if field in CODES:
        return _word(field, cell)
    text = cell.strip().lower()
    if field in NULLABLE and text in MISSING_WORDS:
        return None
    try:
        number = float(text if text.isascii() and "_" not in text else "no number")
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _column(loc: tuple[int | str, ...]) -> str:
    field = str(loc[0])
    return f"{field} (one of {_allowed(field)})" if field in CODES else field


def _allowed(field: str) -> str:
    return ", ".join(f"{code} {word}" for code, word in CODES[field].items())


def _expectation(fault: ErrorDetails) -> str:
    """Put a fault in words, without naming the types that the contract tries on the way to a whole number."""
    whole = "input should be a valid integer"
    messages = {"float_type": whole, "int_from_float": whole} if fault["loc"][0] not in NULLABLE else {}
    message = fault["msg"]
    return messages.get(fault["type"], message[:1].lower() + message[1:])
