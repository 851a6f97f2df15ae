"""Requests with an Idempotency-Key on a real server with two workers that are killed meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.resilience import retries


def test_each_key_is_decided_once_whatever_is_killed(tmp_path: Path) -> None:
    toll = retries.run(tmp_path, times=400, keys=200, kills=1, restarts=1, seed=1)
    assert toll.is_right, toll
    assert toll.answers["200 again"] > 100
