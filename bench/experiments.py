"""The experiments: each measures, and answers with what is written to bench/results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bench.load import Load, bodies, load
from bench.open_loop import Outcome, open_loop
from bench.peer import FASTAPI, OURS, PEERS, Peer, Running, running
from credit_risk.serving.settings import PROJECT

CONNECTIONS = (1, 16, 64, 256)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 100, 256)
SHARES = (0.25, 0.5, 0.75, 0.9, 1.5, 3.0)  # of the load at which the service is saturated
CALLERS = 256  # connections of the open loop
CGROUP = Path("/sys/fs/cgroup/cpu/credit-risk-bench")
Row = dict[str, Any]
Say = Callable[[str], None]


def spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "least": min(values), "most": max(values)}


def summary(loads: list[Load]) -> Row:
    """Medians of several rounds, with their spread."""
    return {
        "requests_per_second": spread([load.requests_per_second for load in loads]),
        "p50_ms": spread([load.p50_ms for load in loads]),
        "p99_ms": spread([load.p99_ms for load in loads]),
        "non_2xx": sum(load.non_2xx for load in loads),
        "failed": sum(load.failed for load in loads),
    }


def overrides(**settings: Any) -> dict[str, str]:
    """An environment that sets these on top of bentoconfiguration.yaml."""
    return {"BENTOML_CONFIG_OVERRIDES": json.dumps({"services": {"credit_risk_classifier": settings}})}


def throughput(folder: Path, *, rounds: int, seconds: float, say: Say) -> list[Row]:
    """Each peer at each number of connections, the peers taking turns."""
    single = bodies(folder)
    loads: dict[tuple[str, int], list[Load]] = {}
    memory: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds):
        for peer in PEERS if number % 2 == 0 else PEERS[::-1]:
            with running(peer) as service:
                load("/classify", single, connections=16, seconds=2)  # warm
                for connections in CONNECTIONS:
                    measured = load("/classify", single, connections=connections, seconds=seconds)
                    loads.setdefault((peer.name, connections), []).append(measured)
                    say(f"round {number + 1}: {peer.name}, {connections}: {measured.requests_per_second:,.0f}/s")
                memory.setdefault(peer.name, []).append((service.memory_mb(), service.worker_memory_mb()))
    return [
        {"peer": name, "connections": connections}
        | summary(found)
        | {"memory_mb": spread([total for total, _ in memory[name]])}
        | {"largest_process_mb": spread([worker for _, worker in memory[name]])}
        for (name, connections), found in loads.items()
    ]


def batching(folder: Path, *, rounds: int, seconds: float, say: Say) -> list[Row]:
    """This service with other limits of its batches; 1 is batching turned off."""
    single = bodies(folder)
    loads: dict[tuple[int, int], list[Load]] = {}
    for number in range(rounds):
        for size in BATCH_SIZES if number % 2 == 0 else BATCH_SIZES[::-1]:
            setting = {"enabled": False} if size == 1 else {"max_batch_size": size}
            with running(OURS, **overrides(batching=setting)):
                load("/classify", single, connections=16, seconds=1)
                for connections in (64, 256):
                    measured = load("/classify", single, connections=connections, seconds=seconds)
                    loads.setdefault((size, connections), []).append(measured)
                    say(f"round {number + 1}: {size} rows, {connections}: {measured.requests_per_second:,.0f}/s")
    return [{"max_batch_size": size, "connections": c} | summary(found) for (size, c), found in loads.items()]


def accountable(folder: Path, *, rounds: int, seconds: float, say: Say) -> list[Row]:
    """What reasons and the decision log cost: with both, without the log, and without either; FastAPI beside them."""
    single = bodies(folder)
    approving = folder / "policy.yaml"  # nobody is refused, so nobody is owed a reason
    policy = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    policy["cutoffs"] = {"review_above": 0.9999, "decline_above": 0.9999}
    approving.write_text(yaml.safe_dump(policy))
    off = {"CREDIT_RISK_DECISION_LOG": "off"}
    variants: list[tuple[str, Peer, dict[str, str]]] = [
        ("reasons and decision log", OURS, {}),
        ("reasons", OURS, off),
        ("neither", OURS, off | {"CREDIT_RISK_POLICY": str(approving)}),
        ("FastAPI, which has neither", FASTAPI, {}),
    ]
    loads: dict[str, list[Load]] = {}
    for number in range(rounds):
        for name, peer, environment in variants if number % 2 == 0 else variants[::-1]:
            with running(peer, **environment):
                load("/classify", single, connections=16, seconds=2)
                loads.setdefault(name, []).append(load("/classify", single, connections=64, seconds=seconds))
                say(f"round {number + 1}: {name}: {loads[name][-1].requests_per_second:,.0f}/s")
    return [{"with": name} | summary(loads[name]) for name, _, _ in variants]


def large_batches(folder: Path, *, rounds: int, seconds: float, say: Say) -> list[Row]:
    """/classify_batch: applications a second beside FastAPI, and what 10,000-row bodies do to single requests."""
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


@contextmanager
def held(share: float) -> Iterator[Callable[[Running], None]]:
    """A way to hold a service to a share of one core, as a small container is."""
    CGROUP.mkdir(exist_ok=True)
    try:
        (CGROUP / "cpu.cfs_period_us").write_text("20000")
        (CGROUP / "cpu.cfs_quota_us").write_text(str(int(20_000 * share)))

        def hold(service: Running) -> None:
            for process in service.family():
                (CGROUP / "cgroup.procs").write_text(str(process.pid))

        yield hold
    finally:
        CGROUP.rmdir()


def can_hold() -> bool:
    return (os.geteuid() == 0 and (CGROUP.parent / "cpu.cfs_quota_us").exists()) or os.access(CGROUP.parent, os.W_OK)


def open_loops(folder: Path, *, rounds: int, seconds: float, say: Say) -> list[Row]:
    """Fixed rates up to saturation and beyond, on a quarter of a core, which one client can overload threefold."""
    if not can_hold():
        say("The overload experiment needs root and Linux's cpu cgroup, to hold the service to a quarter of a core.")
        return []
    single = bodies(folder)
    rows: list[Row] = []
    for number in range(rounds):
        with held(0.25) as hold:
            with running(OURS, **overrides(workers=1)) as service:
                hold(service)
                load("/classify", single, connections=CALLERS, seconds=seconds)
                saturation = load("/classify", single, connections=CALLERS, seconds=2 * seconds).requests_per_second
                for share in SHARES:
                    before = service.memory_mb()
                    outcome = open_loop(single, rate=share * saturation, seconds=2 * seconds, connections=CALLERS)
                    after = service.memory_mb()
                    recovery = recovered(single)
                    rows.append(_overload_row(number, share, saturation, outcome, (before, after), recovery))
                    say(f"round {number + 1}: {share:g} x {saturation:,.0f}/s: {outcome.goodput:,.0f}/s decided")
            time.sleep(1)
    return rows


def recovered(single: Path) -> float:
    """Seconds from the last answer to the overload until all of a light load is answered within 50 ms again.

    A probe takes a third of a second, so less than that can't be told.
    """
    begun = time.perf_counter()
    while time.perf_counter() - begun < 10:
        began = time.perf_counter()
        probe = open_loop(single, rate=100, seconds=0.3, connections=8, drain=0)
        if len(probe.latency_ms) >= 0.9 * probe.due and probe.percentile(99) <= 50:
            return began - begun
    return float("inf")


def _overload_row(
    number: int, share: float, saturation: float, outcome: Outcome, memory: tuple[float, float], recovery: float
) -> Row:
    return {
        "round": number + 1,
        "of saturation": share,
        "saturation": saturation,
        "due": outcome.due,
        "goodput": outcome.goodput,
        "goodput of saturation": outcome.goodput / saturation,
        "p50_ms": outcome.percentile(50),
        "p99_ms": outcome.percentile(99),
        "refused": outcome.refused,
        "wrong": outcome.wrong,
        "unsent": outcome.unsent,
        "memory_mb": {"before": memory[0], "after": memory[1]},
        "recovery_seconds": recovery,
    }
