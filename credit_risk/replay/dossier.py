"""All that is known of a decision on record, with the texts of its time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from credit_risk.contract.errors import DataError
from credit_risk.contract.event import OutcomeLine, ReviewLine
from credit_risk.contract.policy import Policy
from credit_risk.contract.warning import WARNINGS
from credit_risk.record.events import Event, history_of
from credit_risk.record.history import History
from credit_risk.record.reader import Entry, ErasedEntry
from credit_risk.replay.sources import Sources

WARNING_TEXTS = {warning.code: warning.text for warning in WARNINGS}


class Told(NamedTuple):
    """A reason or a warning with its text, unless that is nowhere to be found."""

    code: str
    text: str | None
    contribution: float | None = None  # of a reason, in log odds


class SealedEvent(NamedTuple):
    """A review or an outcome, and whether its seal holds, in words."""

    event: Event
    seal: str

    def for_programs(self) -> dict[str, Any]:
        """Give the event as what JSON can hold."""
        content = self.event.line.model_dump(mode="json", by_alias=True)
        return {"place": self.event.at.place, "seal": self.seal, **content}


@dataclass(frozen=True)
class Dossier:
    """A decision on record and what its record refers to."""

    entry: Entry | ErasedEntry
    reasons: list[Told]
    warnings: list[Told]  # texts of this version: they are not archived
    policy: Policy | None
    seal: str  # whether it holds, in words
    missing: list[str] = field(default_factory=list)  # sentences about what is nowhere to be found
    events: Sequence[SealedEvent] = ()

    @classmethod
    def of(
        cls,
        entry: Entry | ErasedEntry,
        sources: Sources,
        seal: str,
        missing: Sequence[str] = (),
        events: Sequence[SealedEvent] = (),
    ) -> Self:
        """Gather what the record refers to. What is missing is told in the dossier."""
        record, missing = entry.record, list(missing)
        missing += [each.event.unread for each in events if each.event.unread]
        texts: Mapping[str, str] = {}
        policy = None
        try:
            policy = sources.policy_of(entry)
        except DataError as error:
            missing.append(str(error))
        try:
            texts = sources.texts_of(entry)
        except DataError as error:
            missing.append(str(error))
        reasons = [Told(reason.code, texts.get(reason.code), reason.contribution) for reason in record.reasons]
        warnings = [Told(code, WARNING_TEXTS.get(code)) for code in record.warnings]
        return cls(entry, reasons, warnings, policy, seal, missing, events)

    @property
    def history(self) -> History:
        """The decision with its events."""
        return history_of(self.entry.record, [each.event for each in self.events])

    def for_programs(self, line: bytes) -> dict[str, Any]:
        """Give the dossier as what JSON can hold, with the line of the record as it is."""
        return {
            "place": self.entry.place,
            "seal": self.seal,
            "record": json.loads(line),
            "reasons": [reason._asdict() for reason in self.reasons],
            "warnings": [{"code": warning.code, "text": warning.text} for warning in self.warnings],
            "policy": self.policy and self.policy.model_dump(mode="json"),
            "status": self.history.status,
            "reviews": [each.for_programs() for each in self.events if isinstance(each.event.line, ReviewLine)],
            "outcomes": [each.for_programs() for each in self.events if isinstance(each.event.line, OutcomeLine)],
            "missing": self.missing,
        }


def printable(text: str) -> str:
    """Escape what a caller may have sent to change a terminal or a letter."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
