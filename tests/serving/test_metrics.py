from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from credit_risk.serving import metrics as module
from credit_risk.serving.histograms import observe
from credit_risk.serving.metrics import Metrics
from tests.conftest import PROJECT, user_environment


def test_under_load_one_flush_is_due_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flush brings the queue's depth back to 0 by another one; they must not breed."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    flushes = 0
    flush = Metrics.flush

    def counted(self: Metrics) -> None:
        nonlocal flushes
        flushes += 1
        flush(self)

    monkeypatch.setattr(Metrics, "flush", counted)

    async def load() -> None:
        metrics = Metrics()
        for _ in range(200):
            metrics.queued(5)
            metrics.answered("/classify", HTTPStatus.OK, 0.001)
            await asyncio.sleep(0.001)

    asyncio.run(load())
    assert 1 <= flushes <= 100


def test_many_values_are_observed_as_if_one_by_one() -> None:
    registry = CollectorRegistry()
    values = [0.0001, 0.0005, 0.00051, 0.003, 0.2, 2.5, 2.6, 100.0]
    together, single = (
        Histogram(name, "", buckets=module.LATENCY_BUCKETS, registry=registry) for name in ("together", "single")
    )
    observe(together, values)
    observe(together, values[:3], [2, 1, 3])
    for value in [*values, *values[:1] * 2, values[1], *values[2:3] * 3]:
        single.observe(value)
    found, expected = samples(together), samples(single)
    assert [sample[:2] for sample in found] == [sample[:2] for sample in expected]
    assert [sample[2] for sample in found] == pytest.approx([sample[2] for sample in expected])


def samples(histogram: Histogram) -> list[tuple[str, str | None, float]]:
    [metric] = histogram.collect()
    return [
        (sample.name.partition("_")[2], sample.labels.get("le"), sample.value)
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]


def test_what_a_dead_worker_had_queued_is_forgotten(tmp_path: Path) -> None:
    """Two real processes, as a worker and its successor: files, their names and their sum are prometheus_client's."""
    environment = user_environment() | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    queued = run(environment, "metrics.queued(7); metrics._queue_depth.set(7)")
    assert queued == 7.0, list(tmp_path.iterdir())
    assert list(tmp_path.glob("gauge_livesum_*.db"))
    assert run(environment, "") == 0.0


def run(environment: dict[str, str], change: str) -> float:
    """Make the metrics of a new worker, change them, and give the sum of what all live workers have queued."""
    code = f"""
import sys
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from credit_risk.serving.histograms import observe
from credit_risk.serving.metrics import Metrics
metrics = Metrics()
{change}
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(registry.get_sample_value("credit_risk_queue_depth"))
"""
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return float(finished.stdout)


@contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A real worker's metrics, which tell what is in use as often as `use` asks for it."""
    code = """
import sys
from credit_risk.serving.histograms import observe
from credit_risk.serving.metrics import Metrics
metrics = Metrics()
for policy in sys.stdin:
    metrics.in_use(model="m:1", policy=policy.strip(), catalogue="c", version="1.0.0")
    print("told", flush=True)
"""
    environment = user_environment() | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def use(worker: subprocess.Popen[str], policy: str) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{policy}\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "told\n"


def in_use(folder: Path) -> dict[str, float]:
    """Since when each policy is in use, as Prometheus sees it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    [metric] = [metric for metric in registry.collect() if metric.name == "credit_risk_in_use_since_seconds"]
    for sample in metric.samples:
        assert {**sample.labels, "policy": ""} == {"model": "m:1", "policy": "", "catalogue": "c", "version": "1.0.0"}
    return {sample.labels["policy"]: sample.value for sample in metric.samples}


def test_what_is_in_use_takes_the_place_of_what_was(tmp_path: Path) -> None:
    begun = time.time()
    with worker(tmp_path) as one, worker(tmp_path) as other:
        use(one, "first")
        since = in_use(tmp_path)["first"]
        assert begun <= since <= time.time()
        use(other, "first")
        assert in_use(tmp_path) == {"first": since}
        use(one, "second")
        assert set(in_use(tmp_path)) == {"first", "second"}
        use(other, "second")
        assert set(in_use(tmp_path)) == {"second"}
        use(one, "first")
        use(other, "first")
        assert since < in_use(tmp_path)["first"]
    run(user_environment() | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, "")  # a successor forgets the dead
    assert not list(tmp_path.glob("gauge_livemin_*"))
