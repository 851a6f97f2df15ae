"""What became of a decision so far, and what may still become of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from credit_risk.contract.conflicts import ConflictError
from credit_risk.contract.decision import Status
from credit_risk.contract.event import Outcome, OutcomeLine, Review, ReviewLine
from credit_risk.contract.event_parsing import refusal_of
from credit_risk.contract.record import ImpersonalRecord

A_DAY = timedelta(days=1)  # that a lender's date may differ from that in UTC


class History(NamedTuple):
    """A decision with its events, in the order in which they came."""

    decision: ImpersonalRecord
    reviews: Sequence[ReviewLine] = ()
    outcomes: Sequence[OutcomeLine] = ()

    @property
    def status(self) -> Status:
        """What the decision stands at: what the last review says, if there is one."""
        return self.reviews[-1].status if self.reviews else self.decision.status

    def same_review(self, review: Review, caller: str | None) -> ReviewLine | None:
        """Give the last review if it is this one, which is then only sent again."""
        last = self.reviews[-1] if self.reviews else None
        if last is None or last.caller != caller:
            return None
        codes = [reason.code for reason in last.reasons]
        on_record = last.status, last.reviewer, codes, last.note, last.override, last.supersedes
        sent = review.status, review.reviewer, review.reason_codes, review.note, review.override, review.supersedes
        return last if on_record == sent else None

    def same_outcome(self, outcome: Outcome, caller: str | None) -> OutcomeLine | None:
        """Give the last outcome if it is this one, which is then only sent again."""
        last = self.outcomes[-1] if self.outcomes else None
        if last is None or last.caller != caller:
            return None
        on_record, sent = (
            (last.outcome, last.date, last.supersedes),
            (outcome.outcome, outcome.date, outcome.supersedes),
        )
        return last if on_record == sent else None

    def check_review(self, review: Review) -> None:
        """Raise ConflictError unless the review can come next."""
        decided = self.decision.status
        if self.outcomes:
            raise ConflictError("The loan has an outcome on record, so its decision can't be reviewed any more")
        _check_supersedes("review", review.supersedes, self.reviews[-1].review_id if self.reviews else None)
        if decided == "MAYBE":
            if review.override:
                raise ConflictError("The decision is MAYBE, so there is nothing to overrule: leave override out")
        elif review.status == decided:
            if not self.reviews:
                raise ConflictError(f"The decision is {decided} already; a MAYBE is what awaits a review")
        elif not review.override:
            raise ConflictError(f"The decision is {decided}, not MAYBE; send override as true to overrule it")

    def check_outcome(self, outcome: Outcome) -> None:
        """Raise ConflictError unless the outcome can come next, and InvalidRequestError if its date can't be."""
        if self.status == "MAYBE":
            raise ConflictError("The decision is MAYBE and awaits a review, so there is no loan with an outcome")
        if self.status == "DECLINED":
            raise ConflictError("The application was declined, so there is no loan with an outcome")
        _check_supersedes("outcome", outcome.supersedes, self.outcomes[-1].outcome_id if self.outcomes else None)
        first, last = _day(self.decision.time) - A_DAY, _day(datetime.now(UTC)) + A_DAY
        if not first <= outcome.date <= last:
            raise refusal_of(Outcome, "date", "must be a day from that of the decision to today")


def _check_supersedes(what: str, named: str | None, last: str | None) -> None:
    if last is None and named is not None:
        raise ConflictError(f"The decision has no {what} yet, so none can be superseded: leave supersedes out")
    if last is not None and named is None:
        article = "an" if what == "outcome" else "a"
        raise ConflictError(
            f"The decision has {article} {what} already; send its {what}_id as supersedes to take it back"
        )
    if named != last:
        raise ConflictError(f"supersedes is not the last {what} of the decision; look at that first")


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()
