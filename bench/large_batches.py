"""Large batches: how fast they are, and what they do to single requests."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.experiment import Row, Say, spread, summary
from bench.load import Load, bodies, load
from bench.paired import all_running
from bench.peer import FASTAPI, OURS

CONNECTIONS = 64  # of single requests
BATCHES = 8  # at a time; a worker lets nine in, and refuses more


def large_batches(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure applications a second beside FastAPI, and what 10,000-row bodies do to single requests."""
    single, thousand, ten_thousand = bodies(folder), bodies(folder, batch=1000), bodies(folder, batch=10_000)
    rates: dict[str, list[float]] = {OURS.name: [], FASTAPI.name: []}
    alone: list[Load] = []
    beside: list[Load] = []
    with all_running({OURS.name: OURS, FASTAPI.name: FASTAPI}) as services, ThreadPoolExecutor() as pool:
        url = services[OURS.name].url
        for number in range(slices + 1):
            for name in rates if number % 2 else reversed(rates):
                many = load("/classify_batch", thousand, connections=BATCHES, seconds=seconds, url=services[name].url)
                _require_all_decided(many)
                rates[name].append(1000 * many.requests_per_second)
            alone.append(load("/classify", single, connections=CONNECTIONS, seconds=seconds, url=url))
            heavy = pool.submit(load, "/classify_batch", ten_thousand, connections=1, seconds=seconds + 1, url=url)
            time.sleep(0.5)
            beside.append(load("/classify", single, connections=CONNECTIONS, seconds=seconds, url=url))
            _require_all_decided(heavy.result())
            say(f"slice {number}: p99 {alone[-1].p99_ms:.2f} ms, beside large batches {beside[-1].p99_ms:.2f} ms")
    del alone[0], beside[0]  # the first slice warms up
    for found in rates.values():
        del found[0]
    ratios = [with_batches.p99_ms / without.p99_ms for with_batches, without in zip(beside, alone, strict=True)]
    faster = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    return [
        *({"peer": name, "applications_per_second": spread(found)} for name, found in rates.items()),
        {"applications a second, of FastAPI's": spread(faster)},
        {"single requests": "alone"} | summary(alone),
        {"single requests": "beside 10,000-row bodies back to back"} | summary(beside),
        {"p99 beside large batches, of alone": spread(ratios)},
    ]


def _require_all_decided(measured: Load) -> None:
    if measured.non_2xx or measured.failed or not measured.requests_per_second:
        raise RuntimeError(f"not all batches were decided: {measured}")
