"""A caller who means well: it asks now and then, keeps its connection, and keeps account of what it got."""

from __future__ import annotations

import http.client
import json
import math
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Any

from attack.application import GOOD

PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 10.0  # that it waits for an answer: generous, so that a slow machine is no fault of the service
REFUSALS = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
IDLE_ENDS = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


@dataclass
class Account:
    """What became of a caller's requests."""

    path: str
    asked: int = 0
    refused: int = 0  # 503 or 429 with Retry-After: to be asked again later
    milliseconds: list[float] = field(default_factory=list)  # of those answered
    faults: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Give the latency that this share was below, or NaN if nothing was answered."""
        ordered = sorted(self.milliseconds)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan

    def figures(self) -> dict[str, Any]:
        """Sum up."""
        shares = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
        latency = {
            f"{name}_ms": round(self.percentile(share), 1) if self.milliseconds else None
            for name, share in shares.items()
        }
        counts = {"asked": self.asked, "answered": len(self.milliseconds), "refused": self.refused}
        return {**counts, **latency, "faults": self.faults[:10]}


class Caller:
    """One connection, and the account of what was asked over it."""

    def __init__(self, host: str, port: int, path: str, key: str | None) -> None:
        self.account = Account(path)
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._expected: Any = None

    def ask_until(self, over: threading.Event) -> None:
        """Ask every tenth of a second."""
        with closing(self):
            while not over.is_set():
                self.ask()
                over.wait(PAUSE_SECONDS)

    def ask(self) -> None:
        """Ask once, and once again if the connection was closed while it was idle, as any HTTP client does."""
        self.account.asked += 1
        begun = time.monotonic()
        try:
            fault = self._fault_of_answer(begun, was_idle=self._connection.sock is not None)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            fault = f"{type(error).__name__} after {time.monotonic() - begun:.1f} s"
        if fault:
            self.account.faults.append(f"{self.account.path}: {fault}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _fault_of_answer(self, begun: float, *, was_idle: bool) -> str | None:
        try:
            answer, body = self._exchange()
        except IDLE_ENDS:
            if not was_idle:
                raise
            self._connection.close()
            answer, body = self._exchange()
        if answer.status in REFUSALS and answer.headers["Retry-After"]:
            self.account.refused += 1
        elif answer.status != HTTPStatus.OK:
            return f"status {answer.status}"
        elif not self._is_as_before(body):
            return "another decision than before"
        else:
            self.account.milliseconds.append((time.monotonic() - begun) * 1000)
        return None

    def _exchange(self) -> tuple[http.client.HTTPResponse, bytes]:
        if self.account.path == "/classify":
            self._connection.request("POST", "/classify", GOOD, self._headers)
        else:
            self._connection.request("GET", self.account.path, headers=self._headers)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def _is_as_before(self, body: bytes) -> bool:
        if self.account.path != "/classify":
            return True
        decision = json.loads(body)
        decided = decision["Status"], decision["probability_of_default"]
        self._expected = self._expected or decided
        return bool(decided == self._expected)


@contextmanager
def callers(host: str, port: int, key: str | None) -> Iterator[list[Account]]:
    """One caller of /classify and one of /livez, in a process of their own. The accounts come when the context ends."""
    processes = multiprocessing.get_context("spawn")  # a fork would inherit the attacker's sockets
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_call, args=(theirs, host, port, key), daemon=True)
    process.start()
    accounts: list[Account] = []
    try:
        ours.recv()  # they have begun
        yield accounts
        ours.send("over")
        accounts += [Account(**account) for account in ours.recv()]
    finally:
        process.join(3 * PATIENCE_SECONDS)
        process.kill()


def _call(pipe: Connection, host: str, port: int, key: str | None) -> None:
    over = threading.Event()
    all_ = [Caller(host, port, path, key) for path in ("/classify", "/livez")]
    threads = [threading.Thread(target=caller.ask_until, args=(over,)) for caller in all_]
    for thread in threads:
        thread.start()
    pipe.send("begun")
    pipe.recv()
    over.set()
    for thread in threads:
        thread.join()
    pipe.send([asdict(caller.account) for caller in all_])
