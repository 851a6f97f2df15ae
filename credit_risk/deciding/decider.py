"""A batch's way from applications to decisions: encode, score, apply the policy, record.

The stages are async, so that one of them may wait for another machine. In this process none of them suspends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, cast

from uuid_utils import uuid7

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.customer import Referenced
from credit_risk.contract.decision import score_of
from credit_risk.contract.errors import RequestError
from credit_risk.contract.faults import located
from credit_risk.contract.warning import warnings_of
from credit_risk.deciding.completion import Case, Completed, Completer, File
from credit_risk.deciding.decided import Decided, Origin, named_reasons
from credit_risk.deciding.laps import Laps, unobserved
from credit_risk.deciding.log import Log
from credit_risk.deciding.scoring import Score, Scoring, ScoringOnce
from credit_risk.deciding.terms import CurrentTerms, Terms
from credit_risk.model.features import Encoder

Whole = Sequence[CreditApplication]
Outcomes = list[Decided | Exception]


def new_decision_id() -> str:
    """Make the id of a decision: a UUID of version 7, which sorts by time."""
    return str(uuid7())


class Decider:
    """Decides applications with one model and the policy in force, and puts the decisions on record."""

    def __init__(
        self,
        encoder: Encoder,
        scoring: Scoring,
        terms: CurrentTerms,
        log: Log,
        completer: Completer | None = None,
        new_id: Callable[[], str] = new_decision_id,
    ) -> None:
        """`terms` is called once for each batch. Without a `completer`, all applications are whole.

        `new_id` makes the id of each decision, in order.
        """
        self._encoder = encoder
        self._scoring = scoring
        self._terms = terms
        self._log = log
        self._completer = completer
        self._new_id = new_id

    async def warm_up(self) -> None:
        """Score and explain an example, so that the first caller need not wait for it. No decision is made."""
        with suppress(RequestError):  # another machine may be away
            await self._scoring.score([self._encoder.encode(EXAMPLE)], self._terms().policy.cutoffs.review_above)

    async def decide(
        self, applications: Sequence[Case], origins: Sequence[Origin], laps: Laps | None = None
    ) -> Outcomes:
        """Decide applications, in order, with a look at the stopwatch after each stage.

        Every decision among the outcomes is on record. What could not be decided or recorded is an exception in its
        place; one application at fault does not harm the others.
        """
        laps = laps or unobserved()
        outcomes = await self._decide_each(applications, origins, self._terms(), laps)
        try:
            await self._record([outcome for outcome in outcomes if isinstance(outcome, Decided)], laps)
        except RequestError as error:
            return [error if isinstance(outcome, Decided) else outcome for outcome in outcomes]
        return outcomes

    async def decide_all(
        self, parts: Iterable[Sequence[Case] | Sequence[Referenced]], origin: Origin, laps: Laps | None = None
    ) -> list[Decided]:
        """Decide the applications of one request, in order, by the same terms; equal ones are scored once.

        The event loop turns after each part, so that other requests are answered in between. A thread would delay them
        more, because every turn of the loop would wait for the interpreter's lock. All decisions go on record together,
        at the end. Raises what is wrong with the first application that can't be decided; then none is on record, and
        neither is any if this is cancelled.
        """
        terms, scoring, laps = self._terms(), ScoringOnce(self._scoring), laps or unobserved()
        decisions: list[Decided] = []
        for part in parts:
            cases, origins = _apart(part, origin)
            for outcome in await self._decide_together(cases, origins, terms, scoring, laps):
                if isinstance(outcome, Exception):
                    raise located(outcome, len(decisions))
                decisions.append(outcome)
            await asyncio.sleep(0)
            laps.end("queue")
        await self._record(decisions, laps)
        return decisions

    async def _decide_each(
        self, applications: Sequence[Case], origins: Sequence[Origin], terms: Terms, laps: Laps
    ) -> Outcomes:
        try:
            return await self._decide_together(applications, origins, terms, self._scoring, laps)
        except RequestError as error:
            return [error] * len(applications)
        except Exception as error:
            if len(applications) == 1:
                return [error]
            pairs = zip(applications, origins, strict=True)
            return [(await self._decide_each([application], [origin], terms, laps))[0] for application, origin in pairs]

    async def _decide_together(
        self, asked: Sequence[Case], origins: Sequence[Origin], terms: Terms, scoring: Scoring, laps: Laps
    ) -> Outcomes:
        if self._completer is None:
            return await self._decide_whole(cast("Whole", asked), repeat(None), origins, terms, scoring, laps)
        completed = await self._completer.complete(asked, terms.on_file)
        laps.end("look_up")
        whole = [(each, origin) for each, origin in zip(completed, origins, strict=True) if isinstance(each, Completed)]
        applications, files = [each.application for each, _ in whole], [each.file for each, _ in whole]
        outcomes = iter(
            await self._decide_whole(applications, files, [origin for _, origin in whole], terms, scoring, laps)
            if whole
            else ()
        )
        return [next(outcomes) if isinstance(each, Completed) else each for each in completed]

    async def _decide_whole(
        self,
        applications: Whole,
        files: Iterable[File | None],
        origins: Sequence[Origin],
        terms: Terms,
        scoring: Scoring,
        laps: Laps,
    ) -> Outcomes:
        rows = [self._encoder.encode(application) for application in applications]
        scores = await scoring.score(rows, terms.policy.cutoffs.review_above)
        laps.end("predict")
        time = datetime.now(UTC).isoformat()
        outcomes: Outcomes = [
            score
            if not isinstance(score, Score)
            else _decision(self._new_id(), terms, time, application, file, origin, row, score)
            if origin.ids is None
            else _decision_of(origin.ids, terms, time, application, file, origin, row, score)
            for application, file, origin, row, score in zip(applications, files, origins, rows, scores, strict=False)
        ]
        laps.end("decide")
        return outcomes

    async def _record(self, decisions: Sequence[Decided], laps: Laps) -> None:
        try:
            await self._log.append(decisions)
        finally:
            laps.end("record")


def _apart(part: Sequence[Case] | Sequence[Referenced], origin: Origin) -> tuple[Sequence[Case], Sequence[Origin]]:
    """Put the references of a part, all of which is `Referenced` or nothing, where the decisions come from."""
    if not part or not isinstance(part[0], Referenced):
        return cast("Sequence[Case]", part), [origin] * len(part)
    referenced = cast("Sequence[Referenced]", part)
    return [each.application for each in referenced], [origin._replace(reference=each.reference) for each in referenced]


def _decision_of(ids: Callable[[], str], *of: Any) -> Decided | RequestError:
    """Make a decision with an id that its request has brought, unless that says no."""
    try:
        return _decision(ids(), *of)
    except RequestError as error:
        return error


def _decision(
    decision_id: str,
    terms: Terms,
    time: str,
    application: CreditApplication,
    file: File | None,
    origin: Origin,
    row: bytes,
    score: Score,
) -> Decided:
    """Apply the policy to a scored application."""
    margin, probability, reasons, scored_by = score
    outcome = terms.policy.decide(probability, application, file.missing if file else ())
    return Decided(
        decision_id,
        time,
        application,
        row,
        margin,
        probability,
        score_of(margin),
        outcome.status,
        named_reasons(outcome.rules, reasons),
        [warning.code for warning in warnings_of(application)],
        origin,
        file,
        terms.renderer,
        scored_by,
    )
