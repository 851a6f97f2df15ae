"""Metrics of the machines behind the service, such as a model server: calls by how they ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter


def count_calls(neighbour: str, outcomes: Sequence[str]) -> Callable[[str], None]:
    """Make what counts a call of a neighbour by its outcome. To be called once for each neighbour in a process."""
    calls = Counter(
        "credit_risk_neighbour_calls",
        "Calls of the machines behind the service, by how they ended.",
        ("neighbour", "outcome"),
        registry=CollectorRegistry(),  # its own, because BentoML reads the files and not the registry
    )
    counters = {outcome: calls.labels(neighbour, outcome) for outcome in outcomes}  # so that their rates begin at 0
    return lambda outcome: counters[outcome].inc()
