"""Portfolios: a file on one and on two processes of this machine, and folders on Ray."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.experiment import Row, Say, spread
from credit_risk.serving.settings import PROJECT

ENGINES = PROJECT / ".venv-engines" / "bin" / "python"
MILLION = 1_000_000
FILES = 20  # of a folder
WORKERS = 2
BILLION = 1_000_000_000
CORES = (2, 16, 64, 256)
DOLLARS_PER_CORE_HOUR = 0.05  # about what clouds ask for a core of a large virtual machine
EVERY = 0.25  # seconds between two looks at the processes
MEMORY_EVERY = 8  # looks, as adding up memory takes time itself


QUIET = 0.1  # of the machine's time may go to others, for a run to count
TRIES = 4  # for each run that is to count


class Run(NamedTuple):
    """How long a command took, how much memory all its processes had at most, and what others took meanwhile."""

    seconds: float
    peak_mb: float  # PSS: what processes share counts once
    others: float  # share of the machine's time


def portfolios(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:  # noqa: ARG001 - an experiment's
    """Measure the local engine by processes, Ray by rows, and project from these to a billion."""
    if not ENGINES.exists():
        raise RuntimeError("Ray is not installed: run .ci/engines")
    source = folder / "applications.csv"
    command = [sys.executable, "-m", "data.generate", "--rows", str(10 * MILLION), "--words", "--output", str(source)]
    subprocess.run(command, cwd=PROJECT, check=True, stderr=subprocess.DEVNULL)
    one, ten = _split(source, folder / "one", MILLION), _split(source, folder / "ten", 10 * MILLION)
    million = _joined(one, folder / "million.csv")
    source.unlink()
    rows = [row for kind in ("csv", "parquet") for row in _local(million, kind, max(3, slices // 2), say)]
    rows += [_ray(one, MILLION, say), _ray(ten, 10 * MILLION, say)]
    return [*rows, *projection(rows[-2:])]


def _local(million: Path, kind: str, rounds: int, say: Say) -> Iterator[Row]:
    """Run one process and two in turn. Where others work too, two can't show what they would do alone."""
    runs: dict[int, list[Run]] = {1: [], WORKERS: []}
    for _ in range(TRIES * rounds):
        pair = {}
        for workers in runs:
            _wait_for_quiet()
            output = million.with_name(f"local.{kind}")
            pair[workers] = run = _run(Path(sys.executable), million, output, "--workers", workers)
            say(f"local, {kind}, {workers} processes: {run.seconds:.1f} s, others {run.others:.0%}")
        if max(run.others for run in pair.values()) < QUIET:
            for workers, run in pair.items():
                runs[workers].append(run)
        if len(runs[1]) == rounds:
            break
    else:
        raise RuntimeError("the machine is too busy to compare one process with two; try again when it is quiet")
    ratios = [alone.seconds / together.seconds for alone, together in zip(*runs.values(), strict=True)]
    for workers, found in runs.items():
        yield {
            "name": f"local, CSV to {kind}",
            "processes": workers,
            "rows": MILLION,
            "seconds": spread([run.seconds for run in found]),
            "peak_mb": max(run.peak_mb for run in found),
            "others": max(run.others for run in found),
            "ratio": spread(ratios if workers > 1 else [1.0]),
        }


def _ray(folder: Path, rows: int, say: Say) -> Row:
    output = folder.with_name(f"{folder.name}.parquet")
    _wait_for_quiet()
    run = _run(ENGINES, folder, output, "--engine", "ray", "--workers", WORKERS)
    shutil.rmtree(output)
    say(f"Ray, {rows:,} rows: {run.seconds:.1f} s, {run.peak_mb:.0f} MB, others {run.others:.0%}")
    return {"name": "Ray, CSV to parquet", "processes": WORKERS, "rows": rows} | {
        "seconds": spread([run.seconds]),
        "peak_mb": run.peak_mb,
        "others": run.others,
    }


def projection(measured: Sequence[Row]) -> list[Row]:
    """Project two measured points, a fixed time and a time for each row, to a billion rows by cores."""
    few, many = measured
    fixed_and_few, fixed_and_many = few["seconds"]["median"], many["seconds"]["median"]
    for_each = (fixed_and_many - fixed_and_few) / (many["rows"] - few["rows"]) * WORKERS
    fixed = fixed_and_few - few["rows"] * for_each / WORKERS
    return [
        {
            "name": "projected",
            "processes": cores,
            "rows": BILLION,
            "seconds": spread([seconds]),
            "dollars": cores * seconds / 3600 * DOLLARS_PER_CORE_HOUR,
        }
        for cores in CORES
        for seconds in [fixed + BILLION * for_each / cores]
    ]


def _run(python: Path, source: Path, output: Path, *options: object) -> Run:
    command = [str(part) for part in (python, "-m", "credit_risk", "score", source, "-o", output, *options)]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    before, begun, peak = _busy(), time.perf_counter(), 0.0
    spent: dict[int, float] = {}  # processor time of each process, by id
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for look in count():
        if process.poll() is not None:
            break
        family = _family(process.pid)
        _note_time(family, spent)
        if look % MEMORY_EVERY == 0:
            peak = max(peak, _memory_mb(family))
        with suppress(subprocess.TimeoutExpired):
            process.wait(EVERY)
    seconds = time.perf_counter() - begun
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(said)
    others = _busy() - before - sum(spent.values())
    return Run(seconds, peak, max(0.0, others) / (seconds * (psutil.cpu_count() or 1)))


def _family(pid: int) -> list[psutil.Process]:
    """List a process and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _note_time(family: Sequence[psutil.Process], spent: dict[int, float]) -> None:
    for each in family:
        with suppress(psutil.Error):
            spent[each.pid] = sum(each.cpu_times()[:2])


def _memory_mb(family: Sequence[psutil.Process]) -> float:
    total = 0
    for each in family:
        with suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total / 1e6


def _busy() -> float:
    """Add up the seconds that the cores have worked."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _wait_for_quiet() -> None:
    for _ in range(200):
        if psutil.cpu_percent(interval=3) < 100 * QUIET:
            return


def _split(source: Path, folder: Path, rows: int) -> Path:
    """Write the first rows of a file as files of a folder."""
    folder.mkdir()
    with source.open("rb") as lines:
        header = next(lines)
        for number in range(FILES):
            with (folder / f"{number:02}.csv").open("wb") as file:
                file.write(header)
                file.writelines(islice(lines, rows // FILES))
    return folder


def _joined(folder: Path, target: Path) -> Path:
    with target.open("wb") as file:
        for number, path in enumerate(sorted(folder.iterdir())):
            with path.open("rb") as lines:
                file.writelines(islice(lines, 1 if number else 0, None))
    return target
