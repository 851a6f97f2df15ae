"""The runner on a real event loop, with the real model behind it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.errors import UnavailableError
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, Outcomes
from credit_risk.deciding.log import DecisionLog, NoLog
from credit_risk.deciding.scoring import FakeScoring, InProcessScoring, Score
from credit_risk.model.features import Matrix
from credit_risk.model.scorer import Scorer
from credit_risk.model.store import StoredModel
from credit_risk.serving import runner as module
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import MAX_IN_FLIGHT, AdaptiveRunner
from credit_risk.serving.settings import Batching
from credit_risk.training.data import Dataset
from tests.deciders import ORIGIN, POLICY, decide, decider_of, record_files, renderer_of
from tests.record.test_files import lines_of


class Watched(Decider):
    """Notes the size of every batch. Fails on a batch of one that is `poison`, as a fault within the decider would."""

    poison: CreditApplication | None = None

    def __init__(self, model: StoredModel) -> None:
        super().__init__(model.encoder, InProcessScoring(model), POLICY, NoLog())
        self.sizes: list[int] = []

    async def decide(self, applications: Sequence[CreditApplication], origins: Sequence[Origin]) -> Outcomes:
        self.sizes.append(len(applications))
        outcomes = await super().decide(applications, origins)
        poisoned = [application is self.poison for application in applications]
        return [ValueError("poison") if bad else o for bad, o in zip(poisoned, outcomes, strict=True)]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def decider(model: StoredModel) -> Watched:
    return Watched(model)


def parts_of(applications: list[CreditApplication], size: int) -> deque[list[CreditApplication]]:
    return deque(applications[start : start + size] for start in range(0, len(applications), size))


def alone(decider: Decider, applications: Sequence[CreditApplication]) -> list[float]:
    """Give the probability of default of each application, decided in a batch of its own."""
    return [decide(decider, [application])[0].probability for application in applications]


def probabilities(decisions: Sequence[Decided]) -> list[float]:
    return [decided.probability for decided in decisions]


async def gathered(runner: AdaptiveRunner, applications: Sequence[CreditApplication]) -> list[Any]:
    return await asyncio.gather(*[runner.run(a, ORIGIN) for a in applications], return_exceptions=True)


def test_a_lone_application_is_a_batch_of_one(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    async def one_after_another() -> None:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        for application in synthetic.applications[:20]:
            await runner.run(application, ORIGIN)

    asyncio.run(one_after_another())
    assert decider.sizes == [1] * 20


def test_what_is_waiting_is_decided_together_up_to_the_limit(
    decider: Watched, metrics: Metrics, synthetic: Dataset
) -> None:
    runner = AdaptiveRunner(decider, Batching(max_batch_size=64), metrics)
    asyncio.run(gathered(runner, synthetic.applications[:200]))
    assert decider.sizes == [64, 64, 64, 8]


def test_without_batching_applications_are_decided_one_by_one(
    decider: Watched, metrics: Metrics, synthetic: Dataset
) -> None:
    runner = AdaptiveRunner(decider, Batching(enabled=False), metrics)
    asyncio.run(gathered(runner, synthetic.applications[:50]))
    assert decider.sizes == [1] * 50


def test_everyone_gets_their_own_answer(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    applications = synthetic.applications[:1000]
    answers = asyncio.run(gathered(AdaptiveRunner(decider, Batching(), metrics), applications))
    assert probabilities(answers) == alone(decider, applications)


def test_a_full_queue_refuses_the_next(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    runner = AdaptiveRunner(decider, Batching(max_queue_size=30), metrics)
    answers = asyncio.run(gathered(runner, synthetic.applications[:50]))
    assert all(isinstance(answer, Decided) for answer in answers[:30])
    assert [str(answer) for answer in answers[30:]] == ["The service is overloaded: its queue is full"] * 20
    assert all(isinstance(answer, UnavailableError) for answer in answers[30:])


def test_what_has_waited_too_long_is_refused(
    decider: Watched, metrics: Metrics, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock on which each batch takes a second, so that the third comes too late."""
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    in_no_time = decider.decide

    async def slow(applications: Sequence[CreditApplication], origins: Sequence[Origin]) -> Outcomes:
        now[0] += 1
        return await in_no_time(applications, origins)

    monkeypatch.setattr(decider, "decide", slow)
    runner = AdaptiveRunner(decider, Batching(max_batch_size=10, max_latency_ms=1500), metrics)
    answers = asyncio.run(gathered(runner, synthetic.applications[:40]))
    assert all(isinstance(answer, Decided) for answer in answers[:20])
    assert {str(answer) for answer in answers[20:]} == {"The service is overloaded: the request waited too long"}
    assert decider.sizes == [10, 10]


def test_a_caller_who_has_gone_costs_nothing_and_harms_nobody(
    decider: Watched, metrics: Metrics, synthetic: Dataset
) -> None:
    async def some_leave() -> list[Any]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        tasks = [asyncio.ensure_future(runner.run(application, ORIGIN)) for application in synthetic.applications[:30]]
        await asyncio.sleep(0)  # all of them are waiting now
        for task in tasks[::3]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(some_leave())
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::3])
    kept = [index for index in range(30) if index % 3]
    expected = alone(decider, [synthetic.applications[index] for index in kept])
    assert probabilities([answers[index] for index in kept]) == expected
    assert decider.sizes[0] == len(kept)


def test_only_the_application_at_fault_fails(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    applications = synthetic.applications[:20]
    decider.poison = applications[7]
    answers = asyncio.run(gathered(AdaptiveRunner(decider, Batching(), metrics), applications))
    assert isinstance(answers[7], ValueError)
    others = [index for index in range(20) if index != 7]
    decider.poison = None
    assert probabilities([answers[i] for i in others]) == alone(decider, [applications[i] for i in others])


def test_it_recovers_after_a_failure(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    async def twice() -> tuple[Any, Any]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        decider.poison = synthetic.applications[0]
        failed = await gathered(runner, synthetic.applications[:1])
        decider.poison = None
        return failed, await gathered(runner, synthetic.applications[:1])

    failed, answered = asyncio.run(twice())
    assert isinstance(failed[0], ValueError)
    assert isinstance(answered[0], Decided)


async def many(runner: AdaptiveRunner, applications: list[CreditApplication], size: int) -> list[Decided]:
    return [decided async for part in runner.run_many(parts_of(applications, size), ORIGIN) for decided in part]


def test_many_are_decided_in_pieces_between_which_single_ones_are_answered(
    decider: Watched, metrics: Metrics, synthetic: Dataset
) -> None:
    applications = synthetic.applications[:1000]

    async def both() -> tuple[list[Decided], int]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        all_of_them = asyncio.ensure_future(many(runner, applications, 50))
        answered = 0
        while not all_of_them.done():
            await runner.run(applications[0], ORIGIN)
            answered += 1
        return await all_of_them, answered

    decisions, answered = asyncio.run(both())
    assert probabilities(decisions) == alone(decider, applications)
    assert answered >= 10


def test_equal_ones_among_many_are_scored_once_across_the_pieces(
    model: StoredModel, metrics: Metrics, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    score = Scorer.score

    def counted(self: Scorer, matrix: Matrix) -> object:
        rows.append(len(matrix))
        return score(self, matrix)

    monkeypatch.setattr(Scorer, "score", counted)
    runner = AdaptiveRunner(decider_of(model), Batching(), metrics)
    decisions = asyncio.run(many(runner, [*synthetic.applications[:3]] * 40, 50))
    assert sum(rows) == 3
    assert len(decisions) == 120


def test_one_that_fails_among_many_fails_them_all(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    runner = AdaptiveRunner(Failing(decider), Batching(), metrics)
    with pytest.raises(ValueError, match="poison"):
        asyncio.run(many(runner, synthetic.applications[:10], 5))


class Failing(Watched):
    """Fails on every second application."""

    def __init__(self, decider: Watched) -> None:
        self.__dict__.update(decider.__dict__)

    def scoring_once(self) -> Decider:
        return self

    async def decide(self, applications: Sequence[CreditApplication], origins: Sequence[Origin]) -> Outcomes:
        outcomes = await super().decide(applications, origins)
        return [ValueError("poison") if number % 2 else outcome for number, outcome in enumerate(outcomes)]


def test_a_decider_that_breaks_leaves_nobody_waiting(
    decider: Watched, metrics: Metrics, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> Outcomes:
        raise RuntimeError("broken")

    monkeypatch.setattr(decider, "decide", broken)
    runner = AdaptiveRunner(decider, Batching(max_batch_size=3), metrics)
    answers = asyncio.run(asyncio.wait_for(gathered(runner, synthetic.applications[:10]), 10))
    assert [str(answer) for answer in answers] == ["broken"] * 10


def test_nothing_is_answered_that_is_not_on_record(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("")
    decider = decider_of(model, log=DecisionLog(renderer_of(model), record_files(folder)))

    def ask() -> set[type]:
        runner = AdaptiveRunner(decider, Batching(), Metrics())
        return {type(answer) for answer in asyncio.run(gathered(runner, synthetic.applications[:20]))}

    assert ask() == {UnavailableError}
    folder.unlink()
    assert ask() == {Decided}
    assert len(lines_of(folder)) == 20


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
