"""Large batches: how fast they are, and what they do to single requests."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.experiment import Row, Say, spread, summary
from bench.load import Load, bodies, load
from bench.peer import FASTAPI, OURS, running


def large_batches(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure applications a second beside FastAPI, and what 10,000-row bodies do to single requests."""
    rounds = max(3, slices // 2)
    single, thousand, ten_thousand = bodies(folder), bodies(folder, batch=1000), bodies(folder, batch=10_000)
    rates: dict[str, list[float]] = {OURS.name: [], FASTAPI.name: []}
    alone: list[Load] = []
    beside: list[Load] = []
    for number in range(rounds):
        for peer in (OURS, FASTAPI):
            with running(peer):
                load("/classify_batch", thousand, connections=16, seconds=1)
                measured = load("/classify_batch", thousand, connections=16, seconds=seconds)
                _require_all_decided(measured)
                rates[peer.name].append(1000 * measured.requests_per_second)
                say(f"round {number + 1}: {peer.name}: {rates[peer.name][-1]:,.0f} applications/s")
        with running(OURS), ThreadPoolExecutor() as pool:
            load("/classify", single, connections=16, seconds=1)
            alone.append(load("/classify", single, connections=64, seconds=seconds))
            heavy = pool.submit(load, "/classify_batch", ten_thousand, connections=1, seconds=seconds + 1)
            time.sleep(0.5)
            beside.append(load("/classify", single, connections=64, seconds=seconds))
            _require_all_decided(heavy.result())
            say(f"round {number + 1}: p99 {alone[-1].p99_ms:.2f} ms, beside large batches {beside[-1].p99_ms:.2f} ms")
    ratios = [with_batches.p99_ms / without.p99_ms for with_batches, without in zip(beside, alone, strict=True)]
    return [
        *({"peer": name, "applications_per_second": spread(found)} for name, found in rates.items()),
        {"single requests": "alone"} | summary(alone),
        {"single requests": "beside 10,000-row bodies back to back"} | summary(beside),
        {"p99 beside large batches, of alone": spread(ratios)},
    ]


def _require_all_decided(measured: Load) -> None:
    if measured.non_2xx or measured.failed or not measured.requests_per_second:
        raise RuntimeError(f"not all batches were decided: {measured}")
