"""How the service grows: with connections, workers, the rows of a body, and the decisions on record."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.experiment import Row, Say, overrides, spread, summary
from bench.load import bodies, load
from bench.paired import compare_all
from bench.peer import OURS, running
from bench.throughput import with_environment
from credit_risk.serving.settings import PROJECT

CONNECTIONS = (1, 4, 16, 64, 256, 1024)
ROWS = (1, 10, 100, 1000, 10_000)  # of a body
RECORDS = (100_000, 300_000, 1_000_000)  # that are measured
PROJECTED = (1_000_000, 10_000_000, 100_000_000)
COMMAND = (sys.executable, "-m", "credit_risk")


def growth(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure the service by connections, by workers, by rows of a body, and its log by the decisions in it."""
    single = bodies(folder)
    rows: list[Row] = []
    with running(OURS) as service:
        load(service.path, single, connections=64, seconds=1)
        for count in CONNECTIONS:
            loads = [load(service.path, single, connections=count, seconds=seconds) for _ in range(slices)]
            rows.append({"by": "connections", "value": count, "memory_mb": service.memory_mb()} | summary(loads))
            say(f"{count} connections: {rows[-1]['requests_per_second']['median']:,.0f}/s")
        for size in ROWS:
            many = bodies(folder, batch=size)
            loads = [load("/classify_batch", many, connections=2, seconds=seconds) for _ in range(slices)]
            rate = spread([size * found.requests_per_second for found in loads])
            rows.append({"by": "rows", "value": size, "applications_per_second": rate} | summary(loads))
            say(f"bodies of {size} rows: {rate['median']:,.0f} applications/s")
    workers = {f"{count}": with_environment(OURS, f"{count}", overrides(workers=count)) for count in (1, 2)}
    compared = compare_all(workers, single, connections=(64,), slices=slices, seconds=seconds, say=say)
    by_workers = [{"by": "workers", "value": int(row["name"])} | row for row in compared]
    return [*rows, *by_workers, *_records(folder, slices, say)]


def _records(folder: Path, times: int, say: Say) -> Iterator[Row]:
    """Fill a sealed log through the service, and measure what reads it; more records follow from the largest log."""
    log = folder / "growing-log"
    body = bodies(folder, batch=10_000)
    service = with_environment(OURS, OURS.name, {"CREDIT_RISK_DECISION_LOG": str(log)})
    measured: Row = {}
    for count in RECORDS:
        with running(service) as started:
            while _lines(log) < count:
                load("/classify_batch", body, connections=1, seconds=1, url=started.url)
        files = sorted(log.glob("decisions-*.ndjson"))
        lines, size = _lines(log), sum(file.stat().st_size for file in files)
        verify = _timed(1, "verify", str(log))
        decision = _timed(times, "decision", _an_id(files[len(files) // 2]), str(log))
        measured = {
            "by": "records",
            "value": lines,
            "bytes": size,
            "verify_seconds": verify["median"],
            "decision_seconds": decision["median"],
        }
        say(f"{lines:,} records: {size / 1e6:,.0f} MB, verified in {verify['median']:.1f} s")
        yield measured
    for count in PROJECTED:
        factor = count / measured["value"]
        grown = {name: measured[name] * factor for name in ("bytes", "verify_seconds")}
        # A decision is looked for in the files of its time alone, so that the size of the log matters little.
        yield {"by": "records, projected", "value": count, "decision_seconds": measured["decision_seconds"]} | grown


def _lines(log: Path) -> int:
    """Count the records, without the lines of the seal."""
    return sum(_records_in(file) for file in log.glob("decisions-*.ndjson"))


def _records_in(file: Path) -> int:
    command = ("grep", "-c", '"decision_id"', str(file))
    return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout or 0)


def _an_id(file: Path) -> str:
    with file.open() as lines:
        line = next(line for line in lines if '"decision_id":"' in line)
    return line.partition('"decision_id":"')[2].partition('"')[0]


def _timed(times: int, *arguments: str) -> dict[str, float]:
    found: Sequence[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        subprocess.run([*COMMAND, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
        found = [*found, time.perf_counter() - begun]
    return spread(found)
