"""Experiment 2, by timeit: single calls to each architecture in turn, and how much faster one is than another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from timeit import Timer

import requests

from bench.architectures.feature_store import Customer
from bench.architectures.pieces import Architecture
from bench.experiment import Row, Say, spread

WARM_UP = 3  # calls of each


def time_calls(
    architectures: Sequence[Architecture], customers: Sequence[Customer], *, calls: int, say: Say
) -> list[Row]:
    """Time so many calls to each. Neighbours in time are compared, because the machine's speed drifts."""
    timers = {a.name: Timer(partial(_post, requests.Session(), a, cycle(customers))) for a in architectures}
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for number in range(-WARM_UP, calls):
        for name, timer in timers.items():
            elapsed = timer.timeit(number=1)
            if number >= 0:
                seconds[name].append(elapsed)
    rows = [_row(name, found, seconds) for name, found in seconds.items()]
    for row in rows:
        say(f"{row['name']}: {row['ms']['median']:.1f} ms")
    return rows


def _post(session: requests.Session, architecture: Architecture, customers: cycle[Customer]) -> None:
    reply = session.post(architecture.url + architecture.path, json=next(customers).sent, timeout=30)
    reply.raise_for_status()


def _row(name: str, found: Sequence[float], seconds: dict[str, list[float]]) -> Row:
    return {
        "name": name,
        "ms": spread([1000 * second for second in found]),
        "calls_ms": [round(1000 * second, 2) for second in found],
        "faster_than": {other: _faster(found, theirs) for other, theirs in seconds.items() if other != name},
    }


def _faster(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Give the part of their time that is saved, as the original counts it: 0.5 is half the time."""
    return spread([1 - a / b for a, b in zip(ours, theirs, strict=True)])
