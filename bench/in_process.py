"""What a request costs in one worker, without a network: processor time, with every part of it real but the socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from bench.experiment import Row, Say, spread
from bench.load import bodies
from credit_risk.contract.parsing import parse_application
from credit_risk.deciding.decided import Origin
from credit_risk.serving.bento import garbage
from credit_risk.serving.settings import PROJECT

DECIDE, REQUEST = "a row of `decide`", "a request, from its bytes to those of its answer"
SIZES = (1, 8, 32)  # of batches, and requests in flight
ROWS = 4000  # in each round


def in_process(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:  # noqa: ARG001 - as others
    """Measure microseconds a row of `decide`, and a request from its bytes to those of its answer, by batch size."""
    rows: list[Row] = []
    metrics = folder / "in-process-metrics"
    metrics.mkdir()
    command = [sys.executable, "-m", "bench.in_process", str(bodies(folder)), str(slices)]
    own = {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "CREDIT_RISK_DECISION_LOG": str(folder / "in-process-log")}
    environment = os.environ | own
    output = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in output.splitlines():
        what, size, *found = line.split("\t")
        microseconds = spread([float(each) for each in found])
        rows.append({"what": what, "batch": int(size), "microseconds": microseconds})
        say(f"{what}, batches of {size}: {microseconds['median']:.1f} us")
    return rows


class Wire:
    """A transport without a socket: it forgets what is written, and sends the next request at once."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self._sent = 0
        self.left = 0
        self.protocol: Any = None

    def write(self, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not decided: {answer!r}")
        self.left -= 1
        if self.left > 0:
            asyncio.get_running_loop().call_soon(self.send)

    def send(self) -> None:
        self._sent += 1
        self.protocol.data_received(self._requests[self._sent % len(self._requests)])

    def get_extra_info(self, _: str) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    resume_reading = close = pause_reading


async def _decided(service: Any, lines: Sequence[bytes], size: int) -> None:
    """Decide ROWS applications in batches of a size."""
    applications = [parse_application(line) for line in lines]
    origins = [Origin("a request", None)] * size
    for first in range(0, ROWS, size):
        batch = [applications[number % len(applications)] for number in range(first, first + size)]
        await service._decider.decide(batch, origins)


async def _answered(config: uvicorn.Config, lines: Sequence[bytes], in_flight: int) -> None:
    """Answer ROWS requests, so many of them at a time."""
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    requests = [head % len(line) + line for line in lines]
    wires = [Wire(requests[number:] + requests[:number]) for number in range(in_flight)]
    for wire in wires:
        wire.protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg]
        wire.protocol.connection_made(wire)
        wire.left = ROWS // in_flight
        wire.send()
    while any(wire.left > 0 for wire in wires):
        await asyncio.sleep(0.001)
    for wire in wires:
        wire.protocol.connection_lost(None)


async def _measure(lines: Sequence[bytes], rounds: int) -> dict[tuple[str, int], list[float]]:
    """Give microseconds by what is done and the size of batches, one of each round."""
    from service import svc

    config = uvicorn.Config(svc.to_asgi(), lifespan="off", access_log=False)
    config.load()
    service: Any = svc()
    garbage.settle()
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds + 1):
        for size in SIZES:
            for what, run, subject in ((DECIDE, _decided, service), (REQUEST, _answered, config)):
                begun = process_time()
                await run(subject, lines, size)
                if number:  # the first round warms up
                    found.setdefault((what, size), []).append((process_time() - begun) / ROWS * 1e6)
    return found


if __name__ == "__main__":
    measured = uvloop.run(_measure(Path(sys.argv[1]).read_bytes().splitlines(), int(sys.argv[2])))
    for (each, batch), times in measured.items():
        sys.stdout.write("\t".join([each, str(batch), *map(str, times)]) + "\n")
