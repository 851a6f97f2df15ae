"""Overload: fixed rates up to saturation and beyond, on a quarter of a core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.experiment import Row, Say, overrides
from bench.load import bodies, load
from bench.open_loop import Outcome, open_loop
from bench.peer import OURS, Running, running

SHARES = (0.25, 0.5, 0.75, 0.9, 1.5, 3.0)  # of the load at which the service is saturated
CALLERS = 256  # connections of the open loop
CGROUP = Path("/sys/fs/cgroup/cpu/credit-risk-bench")


@contextmanager
def held(share: float) -> Iterator[Callable[[Running], None]]:
    """Give a way to hold a service to a share of one core, as in a small container."""
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


def open_loops(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure fixed rates up to saturation and beyond, on a quarter of a core, which one client can overload."""
    rounds = max(1, slices // 4)
    if not can_hold():
        say("The overload experiment needs root and Linux's cpu cgroup, to hold the service to a quarter of a core.")
        return []
    single = bodies(folder)
    rows: list[Row] = []
    for number in range(rounds):
        with held(0.25) as hold:
            with running(replace(OURS, environment=overrides(workers=1))) as service:
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
    """Measure the seconds from the end of an overload until a light load is answered within 50 ms again.

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
