"""The seam between decisions and the model: a batch of rows in, their margins and reasons out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from credit_risk.contract.errors import RequestError
from credit_risk.model.explainer import Reasons
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel

LOCAL = "local"  # scored in this process, because the model server failed


class Score(NamedTuple):
    """What the model says about one row."""

    margin: float  # log odds of default
    probability: float  # of default, unrounded
    reasons: Reasons  # empty if the score alone approves
    scored_by: str | None = None  # which model server, or LOCAL in its place; nobody is named if there is none


class Scoring(Protocol):
    """Scores batches of rows, here or somewhere else."""

    async def score(self, rows: Sequence[bytes], review_above: float) -> Sequence[Score | RequestError]:
        """Score encoded rows, in order; explain those whose probability of default is above `review_above`.

        They are compared with applicants who just pass that cutoff.

        A row that could not be scored gets an error of its own. Raises RequestError if none could be.
        """


class InProcessScoring:
    """Scores with a model in this process. It never suspends."""

    def __init__(self, model: StoredModel) -> None:
        self._encoder = model.encoder
        self._scorer = model.scorer
        self._explainer = model.explainer

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score]:
        matrix = self._encoder.matrix(rows)
        found, patterns = self._scorer.score(matrix)
        margins: list[float] = found.tolist()
        probabilities = [probability_of(margin) for margin in margins]
        reasons: list[Reasons] = [()] * len(margins)
        adverse = [row for row, probability in enumerate(probabilities) if probability > review_above]
        if adverse:
            of_adverse = None if patterns is None else patterns[:, adverse]
            explained = self._explainer.reasons(matrix[adverse], review_above, of_adverse)
            for row, against in zip(adverse, explained, strict=True):
                reasons[row] = against
        return list(map(Score, margins, probabilities, reasons))


class ScoringOnce:
    """Scores equal rows once. It remembers every row, so keep it for one request only."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._scores: dict[bytes, Score | RequestError] = {}

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score | RequestError]:
        new = [row for row in dict.fromkeys(rows) if row not in self._scores]
        if new:
            self._scores.update(zip(new, await self._scoring.score(new, review_above), strict=True))
        return [self._scores[row] for row in rows]


class FakeScoring:
    """A scoring service for tests. It answers a call when the test says so, with what `score_of` makes of each row."""

    def __init__(self, score_of: Callable[[bytes], Score | RequestError]) -> None:
        self._score_of = score_of
        self.calls: list[tuple[Sequence[bytes], asyncio.Future[None]]] = []  # rows, and the answer that is awaited

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score | RequestError]:  # noqa: ARG002
        answered = asyncio.get_running_loop().create_future()
        self.calls.append((rows, answered))
        await answered
        return [self._score_of(row) for row in rows]
