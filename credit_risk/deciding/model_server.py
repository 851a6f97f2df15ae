"""Scoring by a model server: one request for each batch, with a deadline, a retry, a breaker and a fallback.

The server's scores decide. The rows that it does not plainly approve are scored by the local table too, which explains
them. Where the two do not agree, the whole answer is refused; where they do, the local score is the same number with
more digits, and takes its place. So as long as the server's scores are the model's within the tolerance, no decision is
another one than in process: both approve what is plainly approved, and the local score decides all the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from credit_risk.contract.errors import UnavailableError
from credit_risk.deciding.breaker import Breaker, OpenError
from credit_risk.deciding.inference_client import LostError, SlowError
from credit_risk.deciding.open_inference import ServerError, WrongAnswerError
from credit_risk.deciding.scoring import LOCAL, InProcessScoring, Score
from credit_risk.deciding.served_model import TOLERANCE, ServedModel
from credit_risk.model.store import StoredModel

NOT_SCORED = "The model server can't score now, so the request was not decided"
OUTCOMES = ("ok", "retried", "failed", "refused", "fallback")  # of calls, as they are counted
Count = Callable[[str], None]


class ModelServer:
    """Scores with a model behind the Open Inference Protocol. To be used on one event loop only."""

    def __init__(
        self,
        served: ServedModel,
        model: StoredModel,
        *,
        name: str,
        timeout: float,
        fallback: bool,
        count: Count,
    ) -> None:
        """`name` goes on record. `timeout` is in seconds, for a batch. `fallback` is to the model in this process."""
        self._served = served
        self._encoder = model.encoder
        self._local = InProcessScoring(model)
        self._name = name
        self._timeout = timeout
        self._fallback = fallback
        self._count = count
        self._breaker = Breaker(f"The model server {name}", served.check)

    @property
    def is_ready(self) -> bool:
        """Whether batches can be scored, by the server or in its place."""
        return self._fallback or not self._breaker.is_open

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score]:
        """Score rows as `Scoring` has it. Raises UnavailableError if the server fails and there is no fallback."""
        try:
            with self._breaker.guard():
                scores = await self._score_in_time(rows, review_above)
        except OpenError:
            self._count("refused")
        except ServerError:
            self._count("failed")
        else:
            self._count("ok")
            return scores
        if not self._fallback:
            raise UnavailableError(NOT_SCORED)
        self._count("fallback")
        return [score._replace(scored_by=LOCAL) for score in await self._local.score(rows, review_above)]

    async def close(self) -> None:
        self._breaker.close()
        await self._served.close()

    async def _score_in_time(self, rows: Sequence[bytes], review_above: float) -> list[Score]:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._score_there(rows, review_above)
        except TimeoutError:
            raise SlowError(self._timeout) from None

    async def _score_there(self, rows: Sequence[bytes], review_above: float) -> list[Score]:
        matrix = self._encoder.matrix(rows)
        try:
            found = await self._served.score(matrix)
        except LostError:
            self._count("retried")
            found = await self._served.score(matrix)
        margins, probabilities = found.margins.tolist(), found.probabilities.tolist()
        scores = [Score(*pair, (), self._name) for pair in zip(margins, probabilities, strict=True)]
        near = [row for row, probability in enumerate(probabilities) if probability > review_above - TOLERANCE]
        if near:
            explained = await self._local.score([rows[row] for row in near], review_above)
            for row, local in zip(near, explained, strict=True):
                if abs(local.probability - probabilities[row]) > TOLERANCE:
                    self._served.distrust()
                    raise WrongAnswerError("scores an application otherwise than the model of the store does")
                scores[row] = local._replace(scored_by=self._name)
        return scores
