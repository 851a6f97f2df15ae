"""Decisions on record beside the same decisions made again: what differs where nothing may."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from typing import Any

from credit_risk.contract.decision import score_of
from credit_risk.contract.record import DecisionRecord, RecordedReason
from credit_risk.deciding.scoring import LOCAL
from credit_risk.record.reader import Entry
from credit_risk.replay.replayer import Again

SHOWN = 20  # differences that are kept to be shown; all are counted
TOLERANCES = {"margin": 1e-6, "probability_of_default": 1e-6, "reasons": 1e-5} | dict.fromkeys(
    ("score", "status", "warnings", "model", "model_sha256", "model_digest"), 0.0
)
NOT_IN_SCHEMA_1 = ("reasons", "warnings", "model_digest")  # or told by the version of the time in another way


class Differences:
    """Counts all differences of a log, and keeps the first of them to be shown."""

    def __init__(self) -> None:
        self.count = 0
        self.earlier = 0  # decisions of schema 1, of which reasons and warnings were not compared
        self.shown: list[str] = []
        # The ids of a long log would not fit into memory. SQLite moves them to a temporary file when they grow.
        self._ids = sqlite3.connect("")
        self._ids.executescript("PRAGMA journal_mode = OFF; CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def compare(self, entry: Entry, again: Again) -> None:
        """Compare a record with the same decision made again, and look for its id among those before."""
        recorded = entry.record
        found = list(differences(recorded, again))
        self.earlier += recorded.schema_version == 1 and not again.changed
        if not self._ids.execute("INSERT OR IGNORE INTO ids VALUES (?)", (recorded.decision_id,)).rowcount:
            found.append("decision_id is on record before")
        self.count += len(found)
        for difference in found[: SHOWN - len(self.shown)]:
            self.shown.append(f"{entry.place}: decision {recorded.decision_id}: {difference}")


def differences(recorded: DecisionRecord, again: Again) -> Iterator[str]:
    """Say what is wrong with a record. Figures are shown, but no field of the application.

    If the decision was made again with another model or policy, only the application itself is compared.
    """
    new = again.record
    if recorded.application_sha256 != new.application_sha256:
        yield "application_sha256 is not that of the application"
    if again.changed:
        return
    if recorded.features != new.features:
        yield "features are not those of the application"
    is_earlier = recorded.schema_version == 1
    if again.told is not None:
        untold = [reason.code for reason in recorded.reasons if reason.code not in again.told]
        if untold:
            yield f"reasons: the catalogue has no text for {', '.join(untold)}"
    follows = _follows_from(recorded) if recorded.scored_by not in (None, LOCAL) else {}
    for field, tolerance in TOLERANCES.items():
        if is_earlier and field in NOT_IN_SCHEMA_1:
            continue
        old_value, new_value = getattr(recorded, field), follows.get(field, getattr(new, field))
        if not _same(old_value, new_value, tolerance):
            yield f"{field}: {_shown(old_value)} on record, {_shown(new_value)} replayed"


def _follows_from(recorded: DecisionRecord) -> dict[str, Any]:
    """Give what follows from the probability that a model server gave.

    It has the digits of a float32 and is held to the model's own. The margin is its log odds, and the score is that of
    this margin: where the model's lies at the border of two scores, the one on record may be the other of the two.
    """
    probability = recorded.probability_of_default
    if not (0 < probability < 1 and math.isfinite(recorded.margin)):
        return {}
    return {"margin": math.log(probability) - math.log1p(-probability), "score": score_of(recorded.margin)}


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
