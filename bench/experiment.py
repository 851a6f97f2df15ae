"""What the experiments have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any

from bench.load import Load

Row = dict[str, Any]
Say = Callable[[str], None]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Summarize repeated measurements by their median and quartiles."""
    if len(values) == 1:
        return dict.fromkeys(("median", "lower", "upper"), values[0])
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return {"median": median(values), "lower": lower, "upper": upper}


def summary(loads: Sequence[Load]) -> Row:
    """Summarize several loads on one service."""
    return {
        "requests_per_second": spread([load.requests_per_second for load in loads]),
        "p50_ms": spread([load.p50_ms for load in loads]),
        "p99_ms": spread([load.p99_ms for load in loads]),
        "non_2xx": sum(load.non_2xx for load in loads),
        "failed": sum(load.failed for load in loads),
    }


def overrides(**settings: Any) -> dict[str, str]:
    """Make an environment that sets these on top of bentoconfiguration.yaml."""
    return {"BENTOML_CONFIG_OVERRIDES": json.dumps({"services": {"credit_risk_classifier": settings}})}
