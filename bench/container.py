"""The image in containers of the sizes that Fargate sells, and the tutorial's design in the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any

from bench.experiment import spread, summary
from bench.load import bodies, load
from bench.open_loop import open_loop
from bench.overload import recovered
from bench.peer import PORT, TUTORIAL, URL
from credit_risk.serving.bento.image import BASE_IMAGE
from credit_risk.serving.settings import PROJECT
from deploy.container_tool import find_container_tool

IMAGE = "credit_risk_classifier:latest"
SIZES = ((0.25, "512m"), (0.5, "1g"), (1.0, "2g"))  # cores and memory of the smallest tasks
CALLERS = 256


@dataclass(frozen=True)
class Container:
    """A started container, answering on URL."""

    tool: str
    name: str
    seconds_to_ready: float

    def memory_mb(self) -> float:
        shown = _output(self.tool, "stats", "--no-stream", "--format", "{{.MemUsage}}", self.name)
        number, unit = re.match(r"([\d.]+)\s*([kMG]i?B)", shown).groups()  # type: ignore[union-attr]
        return float(number) * {"kB": 1e-3, "MB": 1, "GB": 1e3, "MiB": 2**20 / 1e6, "GiB": 2**30 / 1e6}[unit]

    def runs(self) -> bool:
        return _output(self.tool, "inspect", "--format", "{{.State.Running}}", self.name).strip() == "true"


@contextmanager
def container(tool: str, cores: float, memory: str, *arguments: str) -> Iterator[Container]:
    """`run` with these arguments, the image and its command among them; ready, and removed afterwards."""
    name = "credit-risk-bench"
    limits = ["--network", "host", "--memory", memory, "--cpus", str(cores)]
    if tool == "podman":
        limits.append("--no-healthcheck")  # it would have systemd run it
    begun = time.perf_counter()
    _output(tool, "run", "--detach", "--name", name, *limits, *arguments)
    try:
        while not _answers("/readyz"):
            if time.perf_counter() - begun > 120:
                raise RuntimeError(_output(tool, "logs", name))
            time.sleep(0.05)
        yield Container(tool, name, time.perf_counter() - begun)
    finally:
        _output(tool, "rm", "--force", name)


def ours(tool: str, cores: float, memory: str) -> Any:
    """A container of the image, as a Fargate task has it."""
    return container(tool, cores, memory, "--read-only", "--env", f"BENTOML_PORT={PORT}", IMAGE)


def tutorials(tool: str, cores: float, memory: str) -> Any:
    """The tutorial's design in such a container: this machine's Python and virtual environment on the same base."""
    folders = (sys.base_prefix, sys.prefix, str(PROJECT), os.environ["BENTOML_HOME"])
    environment = TUTORIAL.environment | {"PYTHONPATH": str(PROJECT), "BENTOML_HOME": os.environ["BENTOML_HOME"]}
    options = [
        *(word for folder in folders for word in ("--volume", f"{folder}:{folder}")),
        *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
        *("--workdir", str(PROJECT), BASE_IMAGE),
    ]
    return container(
        tool, cores, memory, *options, *(word.format(port=PORT) for word in TUTORIAL.command), "--api-workers", "1"
    )


def containers(folder: Path, *, slices: int, seconds: float, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """By size: seconds to ready, and requests a second, latency and memory at 64 connections; overload."""
    tool = find_container_tool()
    single = bodies(folder)
    rows = []
    for design, start, sizes in (("this service", ours, SIZES), (TUTORIAL.name, tutorials, SIZES[:1])):
        for cores, memory in sizes:
            ready = []
            for _ in range(max(1, slices // 3)):
                with start(tool, cores, memory) as started:
                    ready.append(started.seconds_to_ready)
            with start(tool, cores, memory) as started:
                load("/classify", single, connections=64, seconds=seconds)
                measured = load("/classify", single, connections=64, seconds=20 * seconds)
                row = {"design": design, "cores": cores, "memory": memory, "memory_mb": started.memory_mb()}
            row |= {"seconds_to_ready": spread(ready)} | summary([measured])
            rows.append(row)
            say(f"{design}, {cores:g} cores: {measured.requests_per_second:,.0f}/s, ready in {max(ready):.1f} s")
    rows.append(_overload(tool, single, rows[0]["requests_per_second"]["median"], 20 * seconds))
    return rows


def _overload(tool: str, single: Path, saturation: float, seconds: float) -> dict[str, Any]:
    """The smallest container at four times the rate that saturates it, while one caller checks every answer it gets."""
    over = Event()
    with ours(tool, *SIZES[0]) as started, ThreadPoolExecutor() as pool:
        checked = pool.submit(_wrong_decisions, single, over)
        outcome = open_loop(single, rate=4 * saturation, seconds=seconds, connections=CALLERS)
        recovery = recovered(single)
        over.set()
        asked, wrong = checked.result()
        return {
            "design": "this service, overload",
            "due": outcome.due,
            "goodput": outcome.goodput,
            "refused": outcome.refused,
            "failed": outcome.wrong,
            "unsent": outcome.unsent,
            "checked": asked,
            "wrong": wrong,
            "recovery_seconds": recovery,
            "memory_mb": started.memory_mb(),
            "runs": started.runs(),
        }


def _wrong_decisions(single: Path, over: Event) -> tuple[int, int]:
    """How many answers were checked against the first ones, asked for before the overload, and how many differed."""
    requests = single.read_bytes().splitlines()
    expected = [_decision(body) for body in requests]
    asked = wrong = 0
    while not over.is_set():
        wrong += _decision(requests[asked % len(requests)]) not in (expected[asked % len(requests)], None)
        asked += 1
    return asked, wrong


def _decision(body: bytes) -> tuple[str, float] | None:
    """Status and probability of default; None where it is refused for the load."""
    request = urllib.request.Request(f"{URL}/classify", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            decided = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        raise
    return decided["Status"], decided["probability_of_default"]


def _answers(path: str) -> bool:
    try:
        urllib.request.urlopen(f"{URL}{path}", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.NOT_FOUND
    except OSError:
        return False
    return True


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
