"""From a CSV file to typed applications and their outcomes; default = 1 is the event.

Reads the public data set's numeric codes or the words that they stand for, cell by cell, whatever the header's case.
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

from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.contract.errors import DataError
from credit_risk.model.features import Columns

DataSource = Literal["synthetic", "real"]

# Files known by their sha256: the public data set, and the rows in data/ that the recipe drew.
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
NULLABLE = ("income", "assets", "debt")
# The raw file's code for a missing value; as a number it would be a fortune, and nobody's.
MISSING_CODE = "99999999"
MISSING_WORDS = {MISSING_CODE, f"{MISSING_CODE}.0", "", "na", "n/a", "nan", "none", "null"}
MIN_OUTCOMES = 50  # for folds that hold some of each
MAX_PROBLEMS = 20  # listed in one report; all are counted


@dataclass(frozen=True)
class Dataset:
    """Labelled applications: what was asked for, and whether it was paid back."""

    applications: list[CreditApplication]
    default: NDArray[np.int64]  # 1 where the applicant defaulted, (n,)
    sha256: str  # of the file
    source: DataSource  # synthetic rows make a model for trying out, not for lending

    @cached_property
    def columns(self) -> Columns:
        """One array a field: float64 with NaN for missing, or words."""
        return columns_of(self.applications)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For each row the first row equal to it, (n,): what was entered twice must not be trained on and tested on."""
        first: dict[tuple[object, ...], int] = {}
        rows = zip(self.applications, self.default.tolist(), strict=True)
        keys = [(*application.__dict__.values(), default) for application, default in rows]
        return np.array([first.setdefault(key, row) for row, key in enumerate(keys)])

    def __len__(self) -> int:
        return len(self.applications)


def columns_of(applications: list[CreditApplication]) -> Columns:
    """Applications by column: each field an array of n, float64 with NaN for missing, or words."""
    values = [application.__dict__ for application in applications]
    return {
        field: np.array([row[field] for row in values], dtype=object if field in CODES else np.float64)
        for field in FIELDS
    }


def load_dataset(path: Path, source: DataSource | None = None) -> Dataset:
    """Read labelled applications; rows with an unknown status are left out.

    `source` says where the rows come from; without it, files that are not known here count as real.

    Raises DataError with each malformed row's line and column.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from None
    applications, default, problems = [], [], []
    for line, cells in _rows(text, path):
        row_problems = _malformed_row(cells) or _malformed_status(cells)
        if row_problems:
            problems += [f"line {line}, {problem}" for problem in row_problems]
            continue
        try:
            application = CreditApplication.model_validate({field: _value(field, cells[field]) for field in FIELDS})
        except ValidationError as error:
            problems += [
                f"line {line}, column {_column(fault['loc'])}: {_expectation(fault['msg'])}" for fault in error.errors()
            ]
            continue
        status = _word("status", cells["status"])
        if status != "unk":
            applications.append(application)
            default.append(int(status == "default"))
    if problems:
        more = f" (the first {MAX_PROBLEMS} are listed)" * (len(problems) > MAX_PROBLEMS)
        found = f"{len(problems)} problem{'s' * (len(problems) > 1)}{more}"
        raise DataError(f"{path} has {found}; nothing was saved", problems[:MAX_PROBLEMS])
    for status, outcome in (("ok", 0), ("default", 1)):
        different = {a for a, found in zip(applications, default, strict=True) if found == outcome}
        if len(different) < MIN_OUTCOMES:
            raise DataError(
                f"{path} has {len(different)} different applications with status {status}; "
                f"a model that can be tested needs {MIN_OUTCOMES} of each outcome"
            )
    sha256 = hashlib.sha256(content).hexdigest()
    return Dataset(applications, np.array(default), sha256, source or KNOWN_FILES.get(sha256, "real"))


def _rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="beyond the header")
    header = [name.strip().lower() for name in reader.fieldnames or []]
    absent = [field for field in ("status", *FIELDS) if field not in header]
    if absent:
        columns = f"column{'s' * (len(absent) > 1)} {', '.join(absent)}"
        raise DataError(f"{path} lacks the {columns}; its first line must name them, separated by commas")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column{'s' * (len(twice) > 1)} {', '.join(twice)} more than once")
    reader.fieldnames = header
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"{path} is not CSV from line {reader.line_num + 1} on: {error}; is a quote left open?"
        ) from None


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
    """A cell as the contract's type; what is none of it stays text, for the contract to refuse."""
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


def _expectation(message: str) -> str:
    return message[:1].lower() + message[1:]
