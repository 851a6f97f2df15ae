"""Decisions on record beside the same ones made again: what differs where nothing may, and what another model would do.

All of it is added up on the way, so that a long log takes no more memory than a short one.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from credit_risk.contract.decision import Status
from credit_risk.contract.errors import DataError
from credit_risk.contract.record import DecisionRecord, RecordedReason

STATUSES: tuple[Status, ...] = get_args(Status)
MIN_FOR_VERDICT = 500  # of fewer decisions the stability index is mostly chance
BAND = 10  # points of the score, in a plot
PD_BINS = 20  # of probabilities, in a plot
TOLERANCES = {"margin": 1e-6, "probability_of_default": 1e-6, "reasons": 1e-5} | dict.fromkeys(
    ("score", "status", "warnings", "model", "model_sha256"), 0.0
)


def differences(recorded: DecisionRecord, new: DecisionRecord, *, same_versions: bool) -> Iterator[str]:
    """What is wrong with a record, by the same decision made again: figures are shown, the applicant's fields are not.

    Where it was made again with another model or policy, only the application itself is compared.
    """
    if recorded.application_sha256 != new.application_sha256:
        yield "application_sha256 is not that of the application"
    if not same_versions:
        return
    if recorded.features != new.features:
        yield "features are not those of the application"
    for field, tolerance in TOLERANCES.items():
        said, found = getattr(recorded, field), getattr(new, field)
        if not _same(said, found, tolerance):
            yield f"{field}: {_shown(said)} on record, {_shown(found)} replayed"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value.code} {value.contribution}" if isinstance(value, RecordedReason) else str(value)


def _same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, RecordedReason):
        return a.code == b.code and _same(a.contribution, b.contribution, tolerance)
    return abs(a - b) < tolerance if isinstance(a, float) and isinstance(b, float) else bool(a == b)


@dataclass
class Group:
    """Decisions added up."""

    n: int = 0
    recorded_pd: float = 0.0  # sums of probabilities of default
    new_pd: float = 0.0
    known: int = 0  # outcomes
    bad: int = 0


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.2%}" if whole else "-"


class WhatIf:
    """What another model or policy would have decided, against what is on record."""

    def __init__(self, outcomes: Mapping[str, int]) -> None:
        """`outcomes`: 1 for the decisions, by id, whose applicant defaulted, and 0 for those who paid back."""
        self.n = 0
        self.changed = 0  # made with another model or policy than on record
        self.swaps: dict[tuple[Status, Status], Group] = defaultdict(Group)  # by status on record and new status
        self.scores: tuple[Counter[int], Counter[int]] = Counter(), Counter()  # on record, new
        self.bins: tuple[Counter[int], Counter[int]] = Counter(), Counter()  # of probabilities, the same
        self._outcomes = outcomes

    def add(self, recorded: DecisionRecord, new: DecisionRecord, *, changed: bool) -> None:
        group, outcome = self.swaps[recorded.status, new.status], self._outcomes.get(recorded.decision_id)
        self.n += 1
        self.changed += changed
        group.n += 1
        group.recorded_pd += recorded.probability_of_default
        group.new_pd += new.probability_of_default
        if outcome is not None:
            group.known += 1
            group.bad += outcome
        for record, scores, bins in zip((recorded, new), self.scores, self.bins, strict=True):
            scores[record.score] += 1
            # A record that was tampered with may say NaN; it is reported, and falls into the first bin.
            bins[min(int(min(1.0, max(0.0, record.probability_of_default)) * PD_BINS), PD_BINS - 1)] += 1

    def _where(self, among: Callable[[Status, Status], bool]) -> Group:
        found = [astuple(group) for key, group in self.swaps.items() if among(*key)]
        return Group(*map(sum, zip(*found, strict=True)))

    def show(self, console: Console) -> None:
        """Print the swap set and the figures before and after."""
        swaps = Table("", *STATUSES, title=f"{self.n:,} decisions", caption="rows: on record; columns: anew")
        for status in STATUSES:
            swaps.add_row(status, *(f"{self.swaps[status, new].n:,}" for new in STATUSES))
        table = Table("", "decisions", "share", "expected bad", *["observed bad"] * bool(self._outcomes))
        for name, is_in, by_record in (
            ("approved on record", lambda old, _: old == "APPROVED", True),
            ("approved anew", lambda _, new: new == "APPROVED", False),
            ("newly approved", lambda old, new: old != "APPROVED" and new == "APPROVED", False),
            ("no longer approved", lambda old, new: old == "APPROVED" and new != "APPROVED", False),
            ("all on record", lambda *_: True, True),
            ("all anew", lambda *_: True, False),
        ):
            group = self._where(is_in)
            expected = _percent(group.recorded_pd if by_record else group.new_pd, group.n)
            observed = [f"{_percent(group.bad, group.known)} of {group.known:,}"] * bool(self._outcomes)
            table.add_row(name, f"{group.n:,}", _percent(group.n, self.n), expected, *observed)
        console.print(swaps, table, "Expected is the mean probability of default, by the record or anew.")
        console.print(f"Population stability index of the score: {_verdict(self.n, *self.scores)}", highlight=False)

    def plot(self, path: Path) -> None:
        """Draw scores, probabilities and the swap set. Raises DataError where the file can't be written."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 4), layout="constrained")
        points, probabilities, swaps = figure.subplots(1, 3)
        first, last = min(map(min, self.scores)), max(map(max, self.scores))
        points_edges, pd_edges = np.arange(first, last + BAND + 1, BAND), np.linspace(0, 1, PD_BINS + 1)
        for label, scores, bins, fill in zip(("on record", "new"), self.scores, self.bins, (True, False), strict=True):
            heights, _ = np.histogram(list(scores), points_edges, weights=list(scores.values()))
            points.stairs(heights, points_edges, fill=fill, alpha=1 - fill / 2, label=label)
            heights = np.array([bins[number] for number in range(PD_BINS)])
            probabilities.stairs(heights, pd_edges, fill=fill, alpha=1 - fill / 2, label=label)
        points.set(xlabel=f"score (points, in bands of {BAND})", ylabel="decisions")
        probabilities.set(xlabel="probability of default", ylabel="decisions")
        points.legend()
        probabilities.legend()
        counts = np.array([[self.swaps[old, new].n for new in STATUSES] for old in STATUSES])
        swaps.imshow(counts / self.n, cmap="Blues", vmin=0, vmax=2)  # light enough to be written on
        for (row, column), count in np.ndenumerate(counts):
            swaps.text(column, row, f"{count:,}", ha="center", va="center")
        swaps.set_xticks(range(3), STATUSES)
        swaps.set_yticks(range(3), STATUSES)
        swaps.set(xlabel="new status (decisions)", ylabel="status on record (decisions)")
        try:
            figure.savefig(path)
        except OSError as error:
            raise DataError(f"{path} can't be written: {error.strerror}") from None


def stability_index(recorded: Counter[int], new: Counter[int]) -> float:
    """The population stability index of scores (how many have each), in ten bins by the deciles of those on record.

    An empty bin counts as half a decision, as its logarithm would be infinite.
    """
    values = np.array(sorted(recorded))
    share = np.cumsum([recorded[value] for value in values.tolist()]) / recorded.total()
    last = np.unique(values[np.searchsorted(share, np.arange(1, 10) / 10)])  # of each bin
    index, counts = 0.0, np.zeros((2, len(last) + 1))
    for row, scores in zip(counts, (recorded, new), strict=True):
        np.add.at(row, np.searchsorted(last, list(scores)), list(scores.values()))
    shares = np.maximum(counts, 0.5) / counts.sum(axis=1, keepdims=True)
    for a, b in shares.T.tolist():
        index += (b - a) * math.log(b / a)
    return index


def _verdict(n: int, recorded: Counter[int], new: Counter[int]) -> str:
    """By the usual rule of thumb: Siddiqi, Credit Risk Scorecards, 2006, on scorecard stability reports."""
    index = stability_index(recorded, new)
    if n < MIN_FOR_VERDICT:
        return f"{index:.4f}, of too few decisions for a verdict ({MIN_FOR_VERDICT})"
    shift = "no shift" if index < 0.1 else "a moderate shift" if index <= 0.25 else "a strong shift"
    return f"{index:.4f}, {shift}"


def load_outcomes(path: Path) -> dict[str, int]:
    """What became of loans, by decision id, from a CSV file. Raises DataError where it is not one."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [(row.get("decision_id"), row.get("default")) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"outcomes {path} can't be read: {error}") from None
    found = {str(decision_id): int(default) for decision_id, default in rows if decision_id and default in ("0", "1")}
    if not rows or len(found) != len(rows):
        raise DataError(f"outcomes {path} must have the columns decision_id, each once, and default, 0 or 1")
    return found
