"""The runner with scoring on another machine, which suspends: batches under way together, answered in any order."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from credit_risk.contract.errors import UnavailableError
from credit_risk.deciding.decided import Decided
from credit_risk.deciding.scoring import FakeScoring, Score
from credit_risk.model.store import StoredModel
from credit_risk.serving.batching import Batching
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import MAX_IN_FLIGHT, AdaptiveRunner
from credit_risk.training.data import Dataset
from tests.deciders import ORIGIN, decider_of


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


class Elsewhere:
    """A scoring service on another machine: it answers late and out of order, or not at all."""

    def __init__(self, model: StoredModel, synthetic: Dataset, metrics: Metrics, **batching: Any) -> None:
        encoder = model.encoder
        self.applications = synthetic.applications
        rows = [encoder.encode(application) for application in self.applications]
        margins = model.scorer.margins(encoder.matrix(rows)).tolist()
        self._margin = dict(zip(rows, margins, strict=True))
        self.fake = FakeScoring(lambda row: Score(self._margin[row], 0.5, ()))
        self.runner = AdaptiveRunner(decider_of(model, scoring=self.fake), Batching(**batching), metrics)

    def ask(self, count: int) -> list[asyncio.Task[Decided]]:
        return [asyncio.ensure_future(self.runner.run(a, ORIGIN)) for a in self.applications[:count]]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_while_scoring_waits_the_next_batches_are_on_their_way_up_to_a_bound(
    model: StoredModel, synthetic: Dataset, metrics: Metrics
) -> None:
    async def scenario() -> None:
        elsewhere = Elsewhere(model, synthetic, metrics, max_batch_size=5)
        asked = elsewhere.ask(100)
        await turns()
        assert [len(rows) for rows, _ in elsewhere.fake.calls] == [5] * MAX_IN_FLIGHT
        elsewhere.fake.calls[3][1].set_result(None)
        await turns()
        assert len(elsewhere.fake.calls) == MAX_IN_FLIGHT + 1
        assert sum(task.done() for task in asked) == 5
        while not all(task.done() for task in asked):
            for _, answered in elsewhere.fake.calls:
                if not answered.done():
                    answered.set_result(None)
            await turns()
        assert [len(rows) for rows, _ in elsewhere.fake.calls] == [5] * 20

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_everyone_gets_their_own_answer_from_scoring_that_answers_out_of_order(
    model: StoredModel, synthetic: Dataset, metrics: Metrics, seed: int
) -> None:
    rng = random.Random(seed)

    async def scenario() -> list[Decided]:
        elsewhere = Elsewhere(model, synthetic, metrics, max_batch_size=7)
        asked = elsewhere.ask(0)
        for application in synthetic.applications[:300]:
            asked.append(asyncio.ensure_future(elsewhere.runner.run(application, ORIGIN)))
            if rng.random() < 0.3:
                await turns(rng.randrange(3))
            waiting = [answered for _, answered in elsewhere.fake.calls if not answered.done()]
            if waiting and rng.random() < 0.2:
                rng.choice(waiting).set_result(None)
        while not all(task.done() for task in asked):
            waiting = [answered for _, answered in elsewhere.fake.calls if not answered.done()]
            rng.choice(waiting).set_result(None)
            await turns()
        return [task.result() for task in asked]

    decisions = asyncio.run(scenario())
    assert [decided.application for decided in decisions] == synthetic.applications[:300]
    rows = [model.encoder.encode(application) for application in synthetic.applications[:300]]
    assert [decided.margin for decided in decisions] == model.scorer.margins(model.encoder.matrix(rows)).tolist()


def test_a_batch_that_fails_elsewhere_harms_no_other(model: StoredModel, synthetic: Dataset, metrics: Metrics) -> None:
    async def scenario() -> list[Any]:
        elsewhere = Elsewhere(model, synthetic, metrics, max_batch_size=10)
        asked = elsewhere.ask(30)
        await turns()
        first, second, third = (answered for _, answered in elsewhere.fake.calls)
        third.set_result(None)
        second.set_exception(UnavailableError("elsewhere"))
        asked[0].cancel()  # its caller goes away while it is under way
        await turns()
        first.set_result(None)
        return await asyncio.gather(*asked, return_exceptions=True)

    types = [type(answer) for answer in asyncio.run(scenario())]
    assert types == [asyncio.CancelledError] + [Decided] * 9 + [UnavailableError] * 10 + [Decided] * 10
