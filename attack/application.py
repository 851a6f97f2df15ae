"""Applications to attack with: a good one, and the marker that no log may ever show."""

from __future__ import annotations

import json
from typing import Any

MARKER = "zqx-marker-7d1f"  # in fields, paths, headers and ids
SAMPLE: dict[str, Any] = {
    "seniority": 3,
    "home": "owner",
    "time": 36,
    "age": 26,
    "marital": "single",
    "records": "no",
    "job": "freelance",
    "expenses": 35,
    "income": 0.0,
    "assets": 60000.0,
    "debt": 3000.0,
    "amount": 800,
    "price": 1000,
}
GOOD = json.dumps(SAMPLE).encode()
BAD = json.dumps(SAMPLE | {"home": MARKER, MARKER: 1}).encode()
MOST_ROWS = 10_000
BATCH = b"[" + b",".join([GOOD] * MOST_ROWS) + b"]"
