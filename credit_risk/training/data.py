"""From a CSV file to labelled applications; default = 1 is the event.

Cells may hold the numeric codes of the public data set or the words that they stand for, and the header any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from credit_risk.contract.application import CATEGORIES, FIELDS
from credit_risk.contract.errors import DataError
from credit_risk.model.table import Columns
from credit_risk.training.applications import Applications
from credit_risk.training.cells import CODES, REFUSED, allowed, faults_of, read_cell, status_of
from credit_risk.training.layout import PUBLIC_LAYOUT, ROWS_AT_ONCE, Layout, header_of, rows_of

DataSource = Literal["synthetic", "real"]

# Files that are known by their sha256: the public data set, and the synthetic rows in data/.
PUBLIC_FILE = "b42d4fb62b3c1e3428b295d1f152e71ec79e003f86cfa23d7ddb1fc7ea1f624f"
KNOWN_FILES: dict[str, DataSource] = {
    PUBLIC_FILE: "real",
    "34fb1d49d930c1b3277c87c4530627c0181f4ba49956b27341bc5a4ea38961c1": "synthetic",
}
MIN_OUTCOMES = 50  # so that every fold holds some of each
MAX_PROBLEMS = 20  # listed in one error; all are counted


@dataclass(frozen=True)
class Dataset:
    """Labelled applications: what was asked for, and whether it was paid back."""

    columns: Columns
    default: NDArray[np.int64]  # 1 where the applicant defaulted, (n,)
    sha256: str  # of the file
    source: DataSource  # a model of synthetic rows is for trying out, not for lending
    unused: tuple[str, ...] = ()  # columns of the file that are not read

    @property
    def applications(self) -> Applications:
        """The same rows as applications."""
        return Applications(self.columns)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For each row the first row equal to it, (n,). Rows that were entered twice must not be split up."""
        rows = np.zeros((len(self), 1 + len(FIELDS)))
        rows[:, -1] = self.default
        for place, name in enumerate(FIELDS):
            if name in CATEGORIES:
                for number, word in enumerate(CATEGORIES[name]):
                    rows[self.columns[name] == word, place] = number
            else:
                rows[:, place] += self.columns[name]  # added, so that -0.0 becomes 0.0
        whole_rows = rows.view(np.dtype((np.void, rows.strides[0]))).ravel()
        _, first, inverse = np.unique(whole_rows, return_index=True, return_inverse=True)
        return np.asarray(first[inverse])

    def __len__(self) -> int:
        return len(self.default)


def load_dataset(path: Path, source: DataSource | None = None, layout: Layout = PUBLIC_LAYOUT) -> Dataset:
    """Read labelled applications. Rows with an unknown status are left out.

    `source` says where the rows come from. By default they count as real, unless the file is a known one.

    Raises DataError that lists the line and column of each malformed cell.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
    return read_dataset(content, str(path), source, layout)


def read_dataset(
    content: bytes, name: str, source: DataSource | None = None, layout: Layout = PUBLIC_LAYOUT
) -> Dataset:
    """Read the content of a file of this name, as `load_dataset` does."""
    found = _Found({column: [] for column in FIELDS})
    rows = rows_of(content, name, layout)
    header = header_of(next(rows, (1, []))[1], name, layout)
    _read_block(header, [], layout, found)  # so that a file without rows has columns
    while block := list(islice(rows, ROWS_AT_ONCE)):
        _read_block(header, block, layout, found)
    if found.problems:
        raise DataError(f"{name} has {_counted(found.count)}", found.problems)
    sha256 = hashlib.sha256(content).hexdigest()
    unused = tuple(column for column in header if column not in ("status", *FIELDS))
    columns = {column: np.concatenate(blocks) for column, blocks in found.columns.items()}
    default = np.concatenate(found.default)
    dataset = Dataset(columns, default, sha256, source or KNOWN_FILES.get(sha256, "real"), unused)
    _check_outcomes(name, dataset, found.statuses, layout)
    return dataset


@dataclass
class _Found:
    """What was read so far."""

    columns: dict[str, list[NDArray[Any]]]
    default: list[NDArray[np.int64]] = field(default_factory=list)
    statuses: set[str] = field(default_factory=set)  # as they are written
    problems: list[str] = field(default_factory=list)  # the first of them
    count: int = 0  # of all problems


def _read_block(header: list[str], block: list[tuple[int, list[str]]], layout: Layout, found: _Found) -> None:
    """Read some rows, given with the numbers of the lines where they end."""
    whole = [row for _, row in block if len(row) == len(header)]
    cells = dict(zip(header, zip(*whole, strict=True), strict=True)) if whole else dict.fromkeys(header, ())
    statuses = [status_of(cell, layout.default_is) for cell in cells["status"]]
    values = {name: [read_cell(name, cell) for cell in cells[name]] for name in FIELDS}
    found.statuses.update(cell.strip().lower() for cell in set(cells["status"]))
    if len(whole) < len(block) or _is_odd(statuses) or any(REFUSED in column for column in values.values()):
        for line, row in block:
            problems = _problems(header, row, layout)
            found.count += len(problems)
            room = MAX_PROBLEMS - len(found.problems)
            found.problems += [f"line {line}, {problem}" for problem in problems[:room]]
    if found.problems:
        return
    known = np.array([status != "unk" for status in statuses], dtype=bool)
    for name, column in values.items():
        found.columns[name].append(np.array(column, dtype=object if name in CATEGORIES else np.float64)[known])
    found.default.append(np.array([status == "default" for status in statuses], dtype=np.int64)[known])


def _problems(header: list[str], row: list[str], layout: Layout) -> list[str]:
    """Say what is wrong with a row."""
    if len(row) > len(header):
        return ["more cells than the header names"]
    if len(row) < len(header):
        return [f"column {header[len(row)]}: the row ends before it"]
    cells = dict(zip(header, row, strict=True))
    if _is_odd([status_of(cells["status"], layout.default_is)]):
        return [f"column status: must be one of {allowed('status')}; or name the one for default by --default-is"]
    return faults_of(cells)


def _is_odd(statuses: Sequence[str]) -> bool:
    return not set(statuses) <= set(CODES["status"].values())


def _counted(count: int) -> str:
    found = "1 problem" if count == 1 else f"{count} problems"
    return found if count <= MAX_PROBLEMS else f"{found} (the first {MAX_PROBLEMS} are listed)"


def _check_outcomes(path: str, dataset: Dataset, statuses: set[str], layout: Layout) -> None:
    others = {status for status in statuses if status_of(status, layout.default_is) == "ok"}
    if layout.default_is is not None and len(others) > 1:
        raise DataError(f"{path} has {len(others)} statuses beside the one for default; write one for all who paid")
    for outcome, status in enumerate(("ok", "default")):
        different = len(np.unique(dataset.groups[dataset.default == outcome]))
        if different < MIN_OUTCOMES:
            hint = "; if its status 1 means default, say --default-is 1" if statuses == {"0", "1"} else ""
            raise DataError(
                f"{path} has {different} different applications with status {status}; "
                f"a model that can be tested needs {MIN_OUTCOMES} of each outcome{hint}"
            )
