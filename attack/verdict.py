"""What came of an attack: it held, or it gave way, and the figures that tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from attack.caller import Account
from attack.insides import Peak

MOST_PEAK_MB = 320.0  # more than before, while the attack lasts: what the smallest container has to spare
MOST_LEFT_MB = 120.0  # more than before, after it: what an allocator does not give back at once
MOST_DESCRIPTORS = 40  # more than before


@dataclass
class Vitals:
    """How the service is before and after an attack."""

    memory_mb: float | None
    descriptors: int | None
    workers: frozenset[int]


@dataclass
class Verdict:
    """What was seen of one attack."""

    name: str
    sentence: str
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    callers: list[Account] = field(default_factory=list)
    memory_mb: dict[str, float | None] = field(default_factory=dict)  # before, peak, after, and counted by a container
    is_down: bool = False
    descriptors: dict[str, int | None] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Tell whether nothing gave way."""
        return not self.faults

    def judge_statuses(self, statuses: Counter[int]) -> None:
        """Fault the service for answers that say that it failed."""
        self.statuses = dict(sorted(statuses.items()))
        failed = {status for status in statuses if status >= HTTPStatus.INTERNAL_SERVER_ERROR}
        for status in sorted(failed - {HTTPStatus.SERVICE_UNAVAILABLE}):
            self.faults.append(f"answered {status} {statuses[status]:,} times")

    def judge_callers(self, accounts: list[Account]) -> None:
        """Fault the service for what callers who mean well did not get."""
        self.callers = accounts
        for account in accounts:
            if account.faults:
                share = f"{len(account.faults)} of {account.asked} well-behaved requests"
                self.faults.append(f"{share} failed, such as {account.faults[0]}")
            elif not account.milliseconds:
                self.faults.append(f"{account.path}: all {account.asked} well-behaved requests were refused")

    def judge_vitals(self, before: Vitals, after: Vitals, peak: Peak) -> None:
        """Fault the service for processes that died and for what it did not give back."""
        self.memory_mb = {"before": before.memory_mb, "peak": peak.mb, "after": after.memory_mb}
        self.memory_mb["container"] = peak.counted_mb
        self.descriptors = {"before": before.descriptors, "after": after.descriptors}
        lost = before.workers - after.workers
        if lost:
            self.faults.append(f"{len(lost)} of {len(before.workers)} processes died")
        if before.memory_mb and peak.mb and peak.mb - before.memory_mb > MOST_PEAK_MB:
            self.faults.append(f"took {peak.mb - before.memory_mb:,.0f} MB more")
        if not lost and before.memory_mb and after.memory_mb and after.memory_mb - before.memory_mb > MOST_LEFT_MB:
            self.faults.append(f"kept {after.memory_mb - before.memory_mb:,.0f} MB")
        if before.descriptors and after.descriptors and after.descriptors - before.descriptors > MOST_DESCRIPTORS:
            self.faults.append(f"kept {after.descriptors - before.descriptors} descriptors")

    def as_json(self) -> dict[str, Any]:
        """Give everything for a report in JSON."""
        callers = {account.path: account.figures() for account in self.callers}
        return {"held": self.held, **asdict(self), "callers": callers}
