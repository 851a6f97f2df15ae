"""What can be seen of a service from outside HTTP: its processes, memory, descriptors and log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil

from attack.application import MARKER

SAMPLE_SECONDS = 0.05
_ENDED = (psutil.NoSuchProcess, psutil.ZombieProcess)


class Insides:
    """Of a service of which only the address is known: nothing."""

    def processes(self) -> list[psutil.Process]:
        """Give the parent and its workers."""
        return []

    def log(self) -> bytes:
        """Give everything that it has logged."""
        return b""

    def peak_mb(self) -> float | None:
        """Give the most memory that it has ever taken, if something counts that."""
        return None

    def workers(self) -> frozenset[int]:
        """Give the processes by their ids, so that a new one is seen."""
        return frozenset(process.pid for process in self.processes())

    def memory_mb(self) -> float | None:
        """Add up the resident memory of all processes."""
        sizes = []
        for process in self.processes():
            try:
                sizes.append(process.memory_info().rss)
            except _ENDED:
                continue
        return sum(sizes) / 1e6 if sizes else None

    def descriptors(self) -> int | None:
        """Add up the open files and sockets of all processes."""
        counts = []
        for process in self.processes():
            try:
                counts.append(process.num_fds())
            except _ENDED:
                continue
        return sum(counts) if counts else None


class Family(Insides):
    """Of a process and its children on this machine."""

    def __init__(self, pid: int) -> None:
        self._parent = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        try:
            return [self._parent, *self._parent.children(recursive=True)]
        except _ENDED:
            return []


@dataclass
class Peak:
    """The most memory that was seen."""

    mb: float | None = None
    counted_mb: float | None = None  # by the container's control group, since its start


@contextmanager
def watched(insides: Insides) -> Iterator[Peak]:
    """Look at the memory all the time."""
    peak, over = Peak(insides.memory_mb()), Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            now = insides.memory_mb()
            if now is not None:
                peak.mb = max(peak.mb or 0.0, now)
            peak.counted_mb = insides.peak_mb() or peak.counted_mb  # it can't be told once the container has ended

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def faults_in(log: bytes) -> list[str]:
    """Find tracebacks and markers in what was logged."""
    lines = log.decode(errors="replace").splitlines()
    errors = [n for n, line in enumerate(lines) if line.startswith('  File "') or "traceback" in line.lower()]
    faults = []
    if errors:
        first = lines[max(0, errors[0] - 1)]
        faults.append(f"the log has a traceback: {first[:150]}")
    if MARKER in log.decode(errors="replace"):
        faults.append("the log shows what a request held")
    return faults


def settled(insides: Insides, most_mb: float, most_descriptors: int, seconds: float) -> None:
    """Wait until memory and descriptors are below these, but no longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (insides.memory_mb() or 0) <= most_mb and (insides.descriptors() or 0) <= most_descriptors:
            return
        time.sleep(0.2)
