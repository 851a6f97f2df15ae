"""The ramp: more users step by step, until a step is broken twice in a row."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from locust import LoadTestShape
from locust.stats import calculate_response_time_percentile

from bench.architectures.breaking import broken_by


class Ramp(LoadTestShape):
    """Asks locust for the users of each step, and ends the test after the last."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps: list[dict[str, Any]] = []
        self._users = 0
        self._before: dict[str, Any] | None = None  # the counters when the step began to count
        self._spawned: float | None = None
        self._generator = psutil.Process()

    def tick(self) -> tuple[int, float] | None:
        """Give users and spawn rate; locust asks every second."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        self._users = self._users or options.first
        if self._before is None:
            if self.runner.user_count < self._users:
                self._spawned = None
            elif self._spawned is None:
                self._spawned = time.monotonic()
            elif time.monotonic() - self._spawned >= 1:  # those who came last have asked
                self._before = self._counters()
        elif time.monotonic() - self._before["time"] >= options.step and not self._go_on(options):
            Path(options.ramp).write_text(json.dumps(self._steps, indent=1))
            return None
        return self._users, self._users

    def _go_on(self, options: Any) -> bool:
        """Judge the step that has ended, and choose the next; False if there is none."""
        assert self._before is not None
        step = _step(self._users, self._before, self._counters(), options.bound)
        was_broken = bool(self._steps) and bool(self._steps[-1]["broken_by"])
        self._steps.append(step)
        self._before = self._spawned = None
        if not step["broken_by"]:
            if self._users >= options.most:
                return False
            self._users = min(options.most, int(self._users * options.growth) + 1)
        return not (step["broken_by"] and was_broken)

    def _counters(self) -> dict[str, Any]:
        assert self.runner is not None
        total = self.runner.stats.total
        return {
            "time": time.monotonic(),
            "requests": total.num_requests,
            "failures": total.num_failures,
            "times": Counter(total.response_times),
            "generator": sum(self._generator.cpu_times()[:2]),
        }


def _step(users: int, before: dict[str, Any], after: dict[str, Any], bound: float) -> dict[str, Any]:
    seconds = after["time"] - before["time"]
    requests = after["requests"] - before["requests"]
    failures = after["failures"] - before["failures"]
    times = after["times"] - before["times"]
    p50, p95, p99 = (calculate_response_time_percentile(times, requests, share) for share in (0.5, 0.95, 0.99))
    found = broken_by(due=users * seconds, answered=requests, failures=failures, p95_ms=p95, bound_ms=bound)
    return {
        "users": users,
        "requests_per_second": round(requests / seconds, 1),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "failures": failures,
        "generator_cores": round((after["generator"] - before["generator"]) / seconds, 2),
        "broken_by": found,
    }
