"""Open-loop load: requests at a fixed rate, whether or not the last ones were answered, as callers come in life.

Latency counts from the moment when a request was due, so that a service that stalls can't hide it by stalling its
callers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from bench.peer import PORT


@dataclass
class Outcome:
    """What became of the requests of a run."""

    rate: float  # due, a second
    seconds: float
    due: int = 0
    latency_ms: list[float] = field(default_factory=list)  # of the decided ones
    refused: int = 0  # 503 with Retry-After
    wrong: int = 0  # any other answer
    unsent: int = 0  # due, but no connection was free until the end

    @property
    def goodput(self) -> float:
        return len(self.latency_ms) / self.seconds

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.latency_ms, share)) if self.latency_ms else float("nan")


class _Connection(asyncio.Protocol):
    """One request at a time; knows when it was due."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._received = b""
        self._run.answered(self, head, self._due)


class _Run:
    def __init__(self, requests: list[bytes], outcome: Outcome) -> None:
        self._requests = requests
        self._outcome = outcome
        self._free: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._sent = 0

    def answered(self, connection: _Connection, head: bytes, due: float) -> None:
        if head.startswith(b"HTTP/1.1 200"):
            self._outcome.latency_ms.append((time.perf_counter() - due) * 1000)
        elif head.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: " in head:
            self._outcome.refused += 1
        else:
            self._outcome.wrong += 1
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def _send(self, connection: _Connection, due: float) -> None:
        self._sent += 1
        connection.send(self._requests[self._sent % len(self._requests)], due)

    async def go(self, connections: int, drain: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", PORT)
            self._free.append(connection)
        outcome, begun = self._outcome, time.perf_counter()
        total = int(outcome.rate * outcome.seconds)
        while outcome.due < total:
            now = time.perf_counter()
            while outcome.due < total and (due := begun + outcome.due / outcome.rate) <= now:
                outcome.due += 1
                if self._free:
                    self._send(self._free.popleft(), due)
                else:
                    self._waiting.append(due)
            await asyncio.sleep(0.0005)
        outcome.unsent = len(self._waiting)
        self._waiting.clear()
        begun = time.perf_counter()
        while len(self._free) < connections and time.perf_counter() - begun < drain:
            await asyncio.sleep(0.001)  # for the last answers


def open_loop(bodies: Path, *, rate: float, seconds: float, connections: int, drain: float = 10) -> Outcome:
    """`rate` requests a second for `seconds`, over at most `connections`; `drain` seconds more for the last answers."""
    requests = [
        b"POST /classify HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in bodies.read_bytes().splitlines()
    ]
    outcome = Outcome(rate, seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Run(requests, outcome).go(connections, drain))
    return outcome
