"""The runner on a real event loop, with the real model behind it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.policy import load_policy
from credit_risk.model.data import Dataset
from credit_risk.model.features import Matrix
from credit_risk.model.reasons import Reasons
from credit_risk.model.store import StoredModel
from credit_risk.serving.decider import Decider, Origin
from credit_risk.serving.decision_log import NoLog
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.serving.settings import Batching
from tests.conftest import PROJECT

ORIGIN = Origin("a request", None)


class Watched(Decider):
    """Keeps the size of every batch; fails on a batch that holds `poison`."""

    poison: CreditApplication | None = None

    def __init__(self, model: StoredModel, metrics: Metrics) -> None:
        catalogue = load_catalogue(PROJECT / "reasons.yaml")
        super().__init__(model, load_policy(Path(PROJECT / "policy.yaml")), catalogue, NoLog(), metrics)
        self.sizes: list[int] = []

    def decide(
        self,
        applications: Sequence[CreditApplication],
        origins: Sequence[Origin],
        scored: dict[bytes, tuple[float, Reasons]] | None = None,
    ) -> list[bytes]:
        self.sizes.append(len(applications))
        if self.poison is not None and any(application is self.poison for application in applications):
            raise ValueError("poison")
        return super().decide(applications, origins, scored)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def decider(model: StoredModel, metrics: Metrics) -> Watched:
    return Watched(model, metrics)


def probability(decision: bytes) -> float:
    return float(json.loads(decision)["probability_of_default"])


def parts_of(applications: list[CreditApplication], size: int) -> deque[list[CreditApplication]]:
    return deque(applications[start : start + size] for start in range(0, len(applications), size))


def alone(decider: Decider, applications: Sequence[CreditApplication]) -> list[float]:
    return [probability(decider.decide([application], [ORIGIN])[0]) for application in applications]


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
    assert list(map(probability, answers)) == alone(decider, applications)


def test_a_full_queue_refuses_the_next(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    runner = AdaptiveRunner(decider, Batching(max_queue_size=30), metrics)
    answers = asyncio.run(gathered(runner, synthetic.applications[:50]))
    assert all(isinstance(answer, bytes) for answer in answers[:30])
    assert [str(answer) for answer in answers[30:]] == ["The service is overloaded: its queue is full"] * 20
    assert all(isinstance(answer, UnavailableError) for answer in answers[30:])


def test_what_has_waited_too_long_is_refused(
    decider: Watched, metrics: Metrics, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock on which each batch takes a second, so that the third comes too late."""
    now = [0.0]
    monkeypatch.setattr("credit_risk.serving.runner.perf_counter", lambda: now[0])
    decide = decider.decide

    def slow(applications: Sequence[CreditApplication], origins: Sequence[Origin]) -> list[bytes]:
        now[0] += 1
        return decide(applications, origins)

    monkeypatch.setattr(decider, "decide", slow)
    runner = AdaptiveRunner(decider, Batching(max_batch_size=10, max_latency_ms=1500), metrics)
    answers = asyncio.run(gathered(runner, synthetic.applications[:40]))
    assert all(isinstance(answer, bytes) for answer in answers[:20])
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
    assert [probability(answers[index]) for index in kept] == expected
    assert decider.sizes[0] == len(kept)


def test_only_the_application_at_fault_fails(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    applications = synthetic.applications[:20]
    decider.poison = applications[7]
    answers = asyncio.run(gathered(AdaptiveRunner(decider, Batching(), metrics), applications))
    assert isinstance(answers[7], ValueError)
    others = [index for index in range(20) if index != 7]
    decider.poison = None
    assert [probability(answers[index]) for index in others] == alone(decider, [applications[i] for i in others])


def test_it_recovers_after_a_failure(decider: Watched, metrics: Metrics, synthetic: Dataset) -> None:
    async def twice() -> tuple[Any, Any]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        decider.poison = synthetic.applications[0]
        failed = await gathered(runner, synthetic.applications[:1])
        decider.poison = None
        return failed, await gathered(runner, synthetic.applications[:1])

    failed, answered = asyncio.run(twice())
    assert isinstance(failed[0], ValueError)
    assert isinstance(answered[0], bytes)


def test_many_are_decided_in_pieces_between_which_single_ones_are_answered(
    decider: Watched, metrics: Metrics, synthetic: Dataset
) -> None:
    applications = synthetic.applications[:1000]

    async def both() -> tuple[list[bytes], int]:
        runner = AdaptiveRunner(decider, Batching(), metrics)
        many = asyncio.ensure_future(runner.run_many(parts_of(applications, 50), ORIGIN))
        answered = 0
        while not many.done():
            await runner.run(applications[0], ORIGIN)
            answered += 1
        return await many, answered

    decisions, answered = asyncio.run(both())
    assert list(map(probability, decisions)) == alone(decider, applications)
    assert answered >= 10


def test_equal_ones_among_many_are_scored_once_across_the_pieces(
    decider: Watched, metrics: Metrics, model: StoredModel, synthetic: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    score = model.scorer.score

    def counted(matrix: Matrix) -> object:
        rows.append(len(matrix))
        return score(matrix)

    monkeypatch.setattr(model.scorer, "score", counted)
    applications = [*synthetic.applications[:3]] * 40
    runner = AdaptiveRunner(decider, Batching(), metrics)
    decisions = asyncio.run(runner.run_many(parts_of(applications, 50), ORIGIN))
    assert sum(rows) == 3
    assert len(decisions) == 120
