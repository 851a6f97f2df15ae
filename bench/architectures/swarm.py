"""Experiment 3, by locust: low traffic, the ramp to the breaking point, the most that holds, and stress beyond it."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.architectures.breaking import broken_by
from bench.architectures.pieces import Architecture
from bench.experiment import Row, Say
from bench.peer import BIN
from credit_risk.serving.settings import PROJECT

HERE = Path(__file__).parent
LOW = 5  # users: the original has one, who asks a hundred times
LONGEST = 120  # seconds after which nobody is waited for
TRIES = 3  # steps of the ramp, from the last that was not broken downwards, to find one that holds
BEYOND = 2.0  # times the breaking point: the load of the stress test


@dataclass(frozen=True)
class Pace:
    """How long each part takes, and where the ramp begins and ends."""

    low: float = 20  # seconds
    step: float = 8
    hold: float = 120
    stress: float = 60
    first: int = 40  # users
    most: int = 5000
    bound: float = 250  # milliseconds that p95 may take


def swarm(architecture: Architecture, customers: Path, pages: Path, pace: Pace, say: Say) -> Row:
    """Run the four parts, one after the other. Locust's reports and CSV files go to the folder `pages`."""
    run = _Locust(architecture, customers, pages / architecture.name.replace(" ", "-").replace(",", ""))
    row: Row = {"name": architecture.name, "pace": asdict(pace)}
    row["low"] = run.steady("low", LOW, pace.low)
    steps = row["steps"] = run.ramp(pace)
    held = [step for step in steps if not step["broken_by"]]
    broken = [step for step in steps if step["broken_by"]]
    row["breaking_point"] = broken[-1]["users"] if broken else None
    row["broken_by"] = broken[-1]["broken_by"] if broken else ""
    say(f"{architecture.name}: breaking point {row['breaking_point']} requests/s ({row['broken_by']})")
    for users in [step["users"] for step in reversed(held)][:TRIES] or [LOW]:
        before = architecture.processor_seconds()
        found = row["held"] = run.steady("held", users, pace.hold)
        after = architecture.processor_seconds()
        answered, failures = found["requests_per_second"], found["failures"]
        if not broken_by(due=users, answered=answered, failures=failures, p95_ms=found["p95_ms"], bound_ms=pace.bound):
            break
    row["processor_ms"] = {
        piece: round(1000 * (after[piece] - before[piece]) / max(found["requests"], 1), 2) for piece in after
    }
    row["memory_mb"] = round(architecture.memory_mb())
    row["stress"] = run.steady("stress", int(BEYOND * (row["breaking_point"] or users)), pace.stress)
    say(f"{architecture.name}: held {row['held']['requests_per_second']:,.0f}/s, p95 {row['held']['p95_ms']:g} ms")
    return row


class _Locust:
    """Runs locust on an architecture. The names of what it writes begin with `prefix`."""

    def __init__(self, architecture: Architecture, customers: Path, prefix: Path) -> None:
        self._target = ("--host", architecture.url, "--path", architecture.path, "--customers", str(customers))
        self._prefix = prefix

    def steady(self, part: str, users: int, seconds: float) -> Row:
        """Let so many users ask once a second, and longer if nobody was answered in that time."""
        options = ("-u", str(users), "-r", str(users), "-t", f"{seconds:.0f}s", "--reset-stats")
        begun, spent = time.monotonic(), _spent_by_children()
        self._run(part, "users.py", *options)
        cores = (_spent_by_children() - spent) / (time.monotonic() - begun)
        with Path(f"{self._prefix}-{part}_stats.csv").open() as file:
            found = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
        if found["Request Count"] == "0":
            if seconds > LONGEST:
                raise RuntimeError(f"nobody was answered within {seconds:g} s")
            return self.steady(part, users, 2 * seconds)
        return {
            "users": users,
            "requests": int(found["Request Count"]),
            "failures": int(found["Failure Count"]),
            "requests_per_second": float(found["Requests/s"]),
            **{f"p{share}_ms": float(found[f"{share}%"]) for share in (50, 95, 99)},
            "generator_cores": round(cores, 2),
        }

    def ramp(self, pace: Pace) -> list[dict[str, Any]]:
        """Go up step by step to the breaking point."""
        steps = Path(f"{self._prefix}-ramp.json")
        options = {"ramp": steps, "first": pace.first, "most": pace.most, "step": pace.step, "bound": pace.bound}
        self._run(
            "ramp", "users.py,ramp.py", *(word for name, value in options.items() for word in (f"--{name}", str(value)))
        )
        found: list[dict[str, Any]] = json.loads(steps.read_text())
        steps.unlink()
        return found

    def _run(self, part: str, files: str, *options: str) -> None:
        written = f"{self._prefix}-{part}"
        command = [str(BIN / "locust"), "-f", files, "--headless", *self._target, *options]
        command += ["--csv", written, "--html", f"{written}.html", "--only-summary", "--loglevel", "ERROR"]
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: some requests failed, which is a result
            raise RuntimeError(f"locust failed: {done.stderr[-2000:]}")


def _spent_by_children() -> float:
    """Give the processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
