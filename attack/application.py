"""Applications to attack with: a good one, and the marker that no log may ever show."""

from __future__ import annotations

import json
from typing import Any

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.faults import MAX_BATCH

MARKER = "zqx-marker-7d1f"  # in fields, paths, headers and ids
SAMPLE: dict[str, Any] = EXAMPLE.model_dump()
GOOD = json.dumps(SAMPLE).encode()
BAD = json.dumps(SAMPLE | {"home": MARKER, MARKER: 1}).encode()
BATCH = b"[" + b",".join([GOOD] * MAX_BATCH) + b"]"
