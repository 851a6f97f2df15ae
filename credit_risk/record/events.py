"""Reviews and outcomes in the folder of a log, each tied to its decision by the id."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from uuid_utils import uuid7

from credit_risk.contract.decision import Reason
from credit_risk.contract.errors import DataError, NotFoundError, UnavailableError
from credit_risk.contract.event import Asking, Outcome, OutcomeLine, Review, ReviewLine
from credit_risk.contract.record import ImpersonalRecord
from credit_risk.record.encryption import ENCRYPTED, encrypt_event
from credit_risk.record.event_file import EventFiles
from credit_risk.record.finding import (
    SLACK,
    Line,
    find_decision,
    last_written,
    likely_files,
    lines_with,
    seconds_of,
)
from credit_risk.record.history import History
from credit_risk.record.keys import Keys, name_beside, said_of_lost
from credit_risk.record.reader import REVIEW, parsed
from credit_risk.record.retention import EVENTS, FILES
from credit_risk.record.seal import Seal

logger = logging.getLogger("bentoml.credit_risk")
NOT_RECORDED = "The review or outcome can't be recorded now, so it was not taken"
TURN_SECONDS = 5.0


class Event(NamedTuple):
    """An event and its place."""

    at: Line
    line: ReviewLine | OutcomeLine
    unread: str | None  # why its note can't be read, in a sentence


class Recorded(NamedTuple):
    """An event that was asked for."""

    line: ReviewLine | OutcomeLine
    is_new: bool  # or else it was on record already


def events_of(folder: Path, decision_id: str) -> list[Event]:
    """Read the events of a decision, in their order. Raises DataError if they can't be read."""
    made, keys = seconds_of(decision_id), Keys()
    files = [path for path in sorted(folder.glob(EVENTS)) if last_written(path) >= made - SLACK]
    lines = [line for path in files for line in lines_with(path, _with_id(decision_id))]
    return [_event(line, keys) for line in lines if line.content.endswith(b"\n")]  # else a crash tore it


def history_of(record: ImpersonalRecord, events: Sequence[Event]) -> History:
    """Put the events of a decision beside it."""
    lines = [event.line for event in events]
    reviews = [line for line in lines if isinstance(line, ReviewLine)]
    return History(record, reviews, [line for line in lines if isinstance(line, OutcomeLine)])


class EventLog:
    """Puts reviews and outcomes on record in the folder of a log.

    Its methods raise NotFoundError, ConflictError, InvalidRequestError, UnavailableError and DataError.
    """

    def __init__(self, folder: Path, seal: Seal | None, rotate_bytes: int, *, encrypts: bool) -> None:
        """`encrypts` notes."""
        self._folder = folder
        self._files = EventFiles(folder, seal, rotate_bytes)
        self._encrypts = encrypts

    def review(self, decision_id: str, review: Review, reasons: Sequence[Reason], asking: Asking) -> Recorded:
        """Put a review of a decision on record, with its reasons in words."""

        def next_line(history: History) -> Recorded:
            if same := history.same_review(review, asking.caller):
                return Recorded(same, is_new=False)
            history.check_review(review)
            line = ReviewLine(
                review_id=str(uuid7()),
                decision_id=history.decision.decision_id,
                time=datetime.now(UTC),
                reasons=list(reasons),
                **review.model_dump(include={"status", "reviewer", "note", "override", "supersedes"}),
                **asking.model_dump(),
            )
            return Recorded(line, is_new=True)

        return self._record(decision_id, next_line)

    def outcome(self, decision_id: str, outcome: Outcome, asking: Asking) -> Recorded:
        """Put the outcome of a loan on record."""

        def next_line(history: History) -> Recorded:
            if same := history.same_outcome(outcome, asking.caller):
                return Recorded(same, is_new=False)
            history.check_outcome(outcome)
            line = OutcomeLine(
                outcome_id=str(uuid7()),
                decision_id=history.decision.decision_id,
                time=datetime.now(UTC),
                **outcome.model_dump(),
                **asking.model_dump(),
            )
            return Recorded(line, is_new=True)

        return self._record(decision_id, next_line)

    def _record(self, decision_id: str, next_line: Callable[[History], Recorded]) -> Recorded:
        found, record = self._decision(decision_id)
        try:
            with self._files.turn(TURN_SECONDS):
                recorded = next_line(history_of(record, events_of(self._folder, record.decision_id)))
                if recorded.is_new:
                    self._files.write(*self._rendered(recorded.line, found.file))
                return recorded
        except OSError as error:
            why = "others write for too long" if isinstance(error, TimeoutError) else error.strerror
            logger.error("Reviews and outcomes can't be recorded in %s: %s", self._folder, why)
            raise UnavailableError(NOT_RECORDED) from None

    def _decision(self, decision_id: str) -> tuple[Line, ImpersonalRecord]:
        """Find a decision where its time says that it is, so that an id that is made up costs no search of the log."""
        try:
            seconds_of(decision_id)
        except ValueError:
            raise _unknown() from None
        canonical = str(UUID(decision_id))
        found = find_decision(likely_files(self._folder.glob(FILES), canonical), canonical)
        record = found and parsed(found.content, found.place, ImpersonalRecord)
        if not found or not record:
            raise _unknown()
        return found, record

    def _rendered(self, line: ReviewLine | OutcomeLine, decided_in: Path) -> tuple[list[bytes], bytes]:
        """Give the line, and that of its key if it has a note that is to be encrypted."""
        note = line.note if isinstance(line, ReviewLine) else None
        if note is None or not self._encrypts:
            return [line.model_dump_json(by_alias=True).encode() + b"\n"], b""
        plain = line.model_dump_json(by_alias=True, exclude={"note"}).encode() + b"\n"
        personal = line.model_dump_json(include={"note"}).encode()[1:-1]
        encrypted, keys = encrypt_event(plain, personal, name_beside(decided_in, line.decision_id))
        return [encrypted], keys


def _event(line: Line, keys: Keys) -> Event:
    content, unread, erased = line.content, None, keys.erased
    if ENCRYPTED in content:
        opened = keys.opened(str(line.file), content)
        if opened is None:
            is_erased = keys.erased > erased
            unread = (
                f"the note of the review {line.place} was erased"
                if is_erased
                else said_of_lost(str(line.file), "the note of a review")
            )
        content = opened or content
    kind: type[ReviewLine | OutcomeLine] = ReviewLine if content.startswith(REVIEW) else OutcomeLine
    event = parsed(content, line.place, kind)
    if event is None:
        raise DataError(f"{line.place} is no review and no outcome")
    return Event(line, event, unread)


def _with_id(decision_id: str) -> bytes:
    return b'"decision_id":"%b"' % decision_id.encode()


def _unknown() -> NotFoundError:
    return NotFoundError("No decision of this id is on record here")
