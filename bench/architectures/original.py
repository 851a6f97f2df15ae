"""The figures of the original experiments, from a PC of their author: Python 3.8, Flask on meinheld, FastAPI, httpx.

They are in the README files and locust's CSV files of https://github.com/bukosabino/scoring-handler.
"""

from __future__ import annotations

from typing import Any

SECONDS_HELD = 300
FASTER = 0.29  # the part of sync's time that async saved in its second experiment
SWARM: dict[str, dict[str, Any]] = {
    "the original's sync": {
        "low": {"p50_ms": 120, "p95_ms": 130, "p99_ms": 130},
        "breaking_point": 85,
        "held": {"requests_per_second": 70.1, "p50_ms": 1100, "p95_ms": 2200, "p99_ms": 2300, "failures": 0},
        "stress": {"requests_per_second": 65.5, "p50_ms": 3300, "p95_ms": 6700, "p99_ms": 9300, "failures": 0},
    },
    "the original's async": {
        "low": {"p50_ms": 87, "p95_ms": 100, "p99_ms": 110},
        "breaking_point": 150,
        "held": {"requests_per_second": 121.4, "p50_ms": 130, "p95_ms": 330, "p99_ms": 790, "failures": 0},
        "stress": {"requests_per_second": 119.6, "p50_ms": 1000, "p95_ms": 1600, "p99_ms": 6100, "failures": 0},
    },
}
