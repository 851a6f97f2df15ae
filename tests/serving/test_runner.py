"""The runner on a real event loop, with the real model behind it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.errors import RequestError, UnavailableError
from credit_risk.deciding.completion import Case
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.decider import Decider, Outcomes
from credit_risk.deciding.laps import Laps
from credit_risk.deciding.log import DecisionLog, FakeLog, NoLog
from credit_risk.deciding.scoring import InProcessScoring, Score
from credit_risk.model.store import StoredModel
from credit_risk.serving import runner as module
from credit_risk.serving.batching import Batching
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.training.data import Dataset
from tests.deciders import ORIGIN, decide, decider_of, record_files, terms_of
from tests.record.test_files import lines_of


class Watched(Decider):
    """Notes the size of every batch. Fails on a batch of one that is `poison`, as a fault within the decider would."""

    poison: CreditApplication | None = None

    def __init__(self, model: StoredModel) -> None:
        super().__init__(model.encoder, InProcessScoring(model), terms_of(model), NoLog())
        self.sizes: list[int] = []

    async def decide(
        self, applications: Sequence[Case], origins: Sequence[Origin], laps: Laps | None = None
    ) -> Outcomes:
        self.sizes.append(len(applications))
        outcomes = await super().decide(applications, origins, laps)
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
    answers = asyncio.run(gathered(AdaptiveRunner(decider, Batching(max_latency_ms=60_000), metrics), applications))
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

    async def slow(applications: Sequence[CreditApplication], origins: Sequence[Origin], laps: Laps) -> Outcomes:
        now[0] += 1
        return await in_no_time(applications, origins, laps)

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
    answers = asyncio.run(gathered(AdaptiveRunner(decider, Batching(max_latency_ms=60_000), metrics), applications))
    assert isinstance(answers[7], ValueError)
    others = [index for index in range(20) if index != 7]
    decider.poison = None
    assert probabilities([answers[i] for i in others]) == alone(decider, [applications[i] for i in others])


PRIVATE = "what an error says may be private"


class Broken:
    """One whom nothing can be told."""

    has_gone = False

    def settle(self, *_: Any) -> None:
        raise RuntimeError(PRIVATE)


def test_one_who_cannot_be_told_does_not_harm_the_others(
    decider: Watched, metrics: Metrics, synthetic: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> list[Any]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        now = time.perf_counter()
        runner.submit(synthetic.applications[0], ORIGIN, Broken(), since=now, arrived=now)
        return await gathered(runner, synthetic.applications[1:10])

    assert all(isinstance(answer, Decided) for answer in asyncio.run(scenario()))
    assert "RuntimeError while answering a request" in caplog.text
    assert PRIVATE not in caplog.text


def test_it_recovers_after_a_failure(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    async def twice() -> tuple[Any, Any]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        applications = synthetic.applications[:1]
        decider.poison = applications[0]
        failed = await gathered(runner, applications)
        decider.poison = None
        return failed, await gathered(runner, applications)

    failed, answered = asyncio.run(twice())
    assert isinstance(failed[0], ValueError)
    assert isinstance(answered[0], Decided)


async def many(runner: AdaptiveRunner, applications: list[CreditApplication], size: int) -> list[Decided]:
    return await runner.run_many(parts_of(applications, size), ORIGIN)


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
    model: StoredModel, metrics: Metrics, synthetic: Dataset, scored_rows: list[int]
) -> None:
    runner = AdaptiveRunner(decider_of(model), Batching(), metrics)
    decisions = asyncio.run(many(runner, [*synthetic.applications[:3]] * 40, 50))
    assert sum(scored_rows) == 3
    assert len(decisions) == 120


def test_one_that_fails_among_many_leaves_nothing_on_record(
    model: StoredModel, metrics: Metrics, synthetic: Dataset
) -> None:
    applications, log = synthetic.applications[:10], FakeLog()
    poison = model.encoder.encode(applications[7])
    rows = {model.encoder.encode(application) for application in applications}
    scoring = Partly(InProcessScoring(model), rows - {poison})
    runner = AdaptiveRunner(decider_of(model, scoring=scoring, log=log), Batching(), metrics)
    with pytest.raises(UnavailableError, match="elsewhere"):
        asyncio.run(many(runner, applications, 5))
    assert log.decisions == []


def test_many_whose_caller_goes_are_not_decided_to_the_end_and_leave_nothing_on_record(
    model: StoredModel, metrics: Metrics, synthetic: Dataset, scored_rows: list[int]
) -> None:
    log = FakeLog()
    runner = AdaptiveRunner(decider_of(model, log=log), Batching(), metrics)

    async def go() -> None:
        task = asyncio.ensure_future(many(runner, synthetic.applications[:1000], 50))
        while not scored_rows:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert sum(scored_rows) < 200
    assert log.decisions == []


class Partly:
    """Scoring that can do some rows only."""

    def __init__(self, scoring: InProcessScoring, rows: set[bytes]) -> None:
        self._scoring = scoring
        self._rows = rows

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score | RequestError]:
        scores = await self._scoring.score(rows, review_above)
        return [
            score if row in self._rows else UnavailableError("elsewhere")
            for row, score in zip(rows, scores, strict=True)
        ]


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
    decider = decider_of(model, log=DecisionLog(record_files(folder)))

    def ask() -> set[type]:
        runner = AdaptiveRunner(decider, Batching(), Metrics())
        return {type(answer) for answer in asyncio.run(gathered(runner, synthetic.applications[:20]))}

    assert ask() == {UnavailableError}
    folder.unlink()
    assert ask() == {Decided}
    assert len(lines_of(folder)) == 20
