"""What another model or policy would have decided, against what is on record.

Everything is added up on the way, so that a long log takes no more memory than a short one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

from credit_risk.contract.decision import Status
from credit_risk.contract.record import DecisionRecord

PD_BINS = 20  # of probabilities of default, in a plot


@dataclass
class Group:
    """Decisions, added up."""

    n: int = 0
    recorded_pd: float = 0.0  # sums of probabilities of default
    new_pd: float = 0.0
    known: int = 0  # outcomes
    bad: int = 0


class WhatIf:
    """Compares decisions on record with those that another model or policy makes."""

    def __init__(self, outcomes: Mapping[str, int]) -> None:
        """`outcomes` holds, by decision id, 1 for applicants who defaulted and 0 for those who paid back."""
        self.n = 0
        self.changed = 0  # how many were made again with another model or policy
        self.swaps: dict[tuple[Status, Status], Group] = defaultdict(Group)  # by status on record and new status
        self.scores: tuple[Counter[int], Counter[int]] = Counter(), Counter()  # on record, new
        self.bins: tuple[Counter[int], Counter[int]] = Counter(), Counter()  # of probabilities, the same
        self.outcomes = outcomes

    def add(self, recorded: DecisionRecord, new: DecisionRecord, *, changed: bool) -> None:
        """Add a decision. `changed` says whether it was made again with another model or policy."""
        group, outcome = self.swaps[recorded.status, new.status], self.outcomes.get(recorded.decision_id)
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
            # A record that was tampered with may hold NaN. It is reported, and counted in the first bin.
            bins[min(int(min(1.0, max(0.0, record.probability_of_default)) * PD_BINS), PD_BINS - 1)] += 1

    def where(self, among: Callable[[Status, Status], bool]) -> Group:
        """Add up the decisions whose status on record and new status fulfil a condition."""
        found = [astuple(group) for key, group in self.swaps.items() if among(*key)]
        return Group(*map(sum, zip(*found, strict=True)))
