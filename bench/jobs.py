"""What a job of a million rows does to single requests on the same processors, and what they do to it.

In every other slice the job's worker is stopped, so that both kinds of slices see the same machine.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench.experiment import Row, Say, spread
from bench.load import bodies, load
from bench.open_loop import open_loop
from bench.peer import OURS, Running, running
from bench.throughput import with_environment
from credit_risk.serving.settings import PROJECT

ROWS = 1_000_000
RATES = (500, 4000)  # requests a second
CONNECTIONS = 64
LEASE_SECONDS = 3600  # which a stopped worker does not lose


def jobs(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure the p99 of single requests alone and beside a job, at several loads, and the job's rows a second."""
    single, rows = bodies(folder), _portfolio(folder)
    environment = {
        "CREDIT_RISK_JOBS_WORKERS": "1",
        "CREDIT_RISK_JOBS_LEASE_SECONDS": str(LEASE_SECONDS),
        "CREDIT_RISK_JOBS_PER_CALLER": "100",
        "CREDIT_RISK_JOBS_MB_PER_CALLER": "100000",
    }
    with running(with_environment(OURS, OURS.name, environment)) as service:
        loads: dict[str, Callable[[], float]] = {
            f"{rate:,} requests/s": lambda rate=rate: _at(rate, single, seconds)  # type: ignore[misc]
            for rate in RATES
        }
        loads[f"{CONNECTIONS} connections back to back"] = lambda: _back_to_back(single, seconds)
        job = _Job(service, rows)
        job.wait_until_it_runs()
        rate = job.rate(slices * seconds)
        say(f"a job alone: {rate:,.0f} rows/s")
        found = [_compare(name, measure, job, slices, say) for name, measure in loads.items()]
        return [{"load": "none", "rows_per_second": rate}, *found]


def _compare(name: str, measure: Callable[[], float], job: _Job, slices: int, say: Say) -> Row:
    alone: list[float] = []
    beside: list[float] = []
    done, worked = job.done(), 0.0
    for _ in range(slices):
        with job.stopped():
            alone.append(measure())
        begun = time.perf_counter()
        beside.append(measure())
        worked += time.perf_counter() - begun
    ratios = [with_job / without for with_job, without in zip(beside, alone, strict=True)]
    rate = (job.done() - done) / worked  # over all slices, because a job counts its rows by the chunk
    figures = {"p99_ms_alone": spread(alone), "p99_ms_beside": spread(beside), "ratio": spread(ratios)}
    say(f"{name}: p99 {median(alone):.2f} ms, beside a job {median(beside):.2f} ms; {rate:,.0f} rows/s")
    return {"load": name, **figures, "rows_per_second": rate}


class _Job:
    """A job that goes on for as long as it is measured: another one follows each that ends."""

    def __init__(self, service: Running, rows: Path) -> None:
        self._service, self._rows = service, rows
        self._ids: list[str] = []
        self._post()

    def wait_until_it_runs(self) -> None:
        while not self.done():
            time.sleep(0.2)

    def done(self) -> int:
        """Rows of all jobs so far. Another job is posted before the last one ends."""
        found = [self._ask(f"/jobs/{job}") for job in self._ids]
        if found[-1]["rows"]["done"] > ROWS // 2:
            self._post()
        return sum(job["rows"]["done"] for job in found)

    def rate(self, seconds: float) -> float:
        done, begun = self.done(), time.perf_counter()
        time.sleep(seconds)
        return (self.done() - done) / (time.perf_counter() - begun)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        workers = [process for process in self._service.family() if _is_worker(process)]
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGCONT)

    def _post(self) -> None:
        request = urllib.request.Request(
            f"{self._service.url}/jobs", self._rows.read_bytes(), {"content-type": "text/csv"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            self._ids.append(json.load(answer)["id"])

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._service.url}{path}", timeout=60) as answer:
            return json.load(answer)


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "worker" in process.cmdline()
    return False


def _at(rate: int, single: Path, seconds: float) -> float:
    return open_loop(single, rate=rate, seconds=seconds, connections=CONNECTIONS).percentile(0.99)


def _back_to_back(single: Path, seconds: float) -> float:
    return load("/classify", single, connections=CONNECTIONS, seconds=seconds).p99_ms


def _portfolio(folder: Path) -> Path:
    path = folder / "portfolio.csv"
    command = [sys.executable, "-m", "data.generate", "--words", "--rows", str(ROWS), "-o", str(path)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return path
