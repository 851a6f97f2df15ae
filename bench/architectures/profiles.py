"""Experiment 1: where the time of one call goes, by pyinstrument and yappi, at the client and in every piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import requests

from bench.architectures.feature_store import Customer
from bench.architectures.pieces import KINDS, Architecture, Ports, architectures
from bench.architectures.profiling import profiled
from bench.experiment import Say

PROFILERS = ("pyinstrument", "yappi")
WARM_UP = 5  # calls; the pages of the last call stay


def profile_calls(customers: Sequence[Customer], ports: Ports, pages: Path, *, threads: int, say: Say) -> None:
    """Profile one call to each architecture, with models that sleep. Writes to the folder `pages`."""
    pages.mkdir(parents=True, exist_ok=True)
    for profiler in PROFILERS:
        # pyinstrument does not see what waits on uvloop.
        environment = {"PROFILER": profiler, "PROFILES": str(pages.absolute()), "UVICORN_LOOP": "asyncio"}
        with architectures(KINDS["sleeping"], ports, customers, threads=threads, environment=environment) as running:
            for architecture in running.values():
                _profile_client(architecture, customers, profiler, pages)
                say(f"{profiler}: {architecture.name}")


def _profile_client(architecture: Architecture, customers: Sequence[Customer], profiler: str, pages: Path) -> None:
    url = architecture.url + architecture.path
    with requests.Session() as session:
        for customer in customers[:WARM_UP]:
            session.post(url, json=customer.sent, timeout=30).raise_for_status()
        with profiled(profiler, pages / f"{architecture.name.replace(' ', '-')}-client"):
            session.post(url, json=customers[WARM_UP].sent, timeout=30).raise_for_status()
