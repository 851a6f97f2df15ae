"""Callers that ask again and again, and keep account of what became of each request."""

from __future__ import annotations

import http.client
import json
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.corpus import SAMPLE

MOST_FAULTS = 100  # of one caller, which then gives up
PAUSE_SECONDS = 0.01  # of a caller after each answer: without it, callers leave a new worker no processor to start on


class Answered(NamedTuple):
    """An answer, with what it says it was decided by."""

    sent: float  # monotonic
    received: float
    status: str
    policy: str


@dataclass
class Account:
    """What became of the requests of all callers together."""

    answers: list[Answered] = field(default_factory=list)
    refused: int = 0  # connections: nothing was sent
    shed: int = 0
    faults: list[str] = field(default_factory=list)  # of requests that were sent
    is_over: threading.Event = field(default_factory=threading.Event)

    def older_than_known(self, policies: Sequence[str]) -> int:
        """Count answers by an older policy than was known when they were asked for. `policies` are in their order."""
        place = {policy: number for number, policy in enumerate(policies)}
        by_time = sorted(self.answers, key=lambda answer: answer.received)
        times = [answer.received for answer in by_time]
        newest = list(accumulate((place[answer.policy] for answer in by_time), max))
        behind = 0
        for answer in self.answers:
            before = bisect_left(times, answer.sent)
            behind += bool(before and newest[before - 1] > place[answer.policy])
        return behind


def posted_anew(url: str, times: int, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    """Ask so many times at once, each over a connection of its own, so that all workers answer."""

    def ask(_: int) -> tuple[int, dict[str, Any]]:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            connection.request("POST", "/classify", json.dumps(SAMPLE), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(ask, range(times)))


@contextmanager
def callers(url: str, *, kept_alive: int, anew: int, until_refused: bool = True) -> Iterator[Account]:
    """So many that keep their connection while they may, and so many that open one for each request.

    They ask until they are refused a connection, or else until the context ends; it waits for them.
    """
    account = Account()
    with ThreadPoolExecutor(kept_alive + anew) as pool:
        for keep in [True] * kept_alive + [False] * anew:
            pool.submit(_ask, url, keep, account, until_refused)
        yield account
        if not until_refused:
            account.is_over.set()


def _ask(url: str, keep: bool, account: Account, until_refused: bool) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Content-Type": "application/json", **({} if keep else {"Connection": "close"})}
    body = json.dumps(SAMPLE)
    faults = 0
    with closing(connection):
        while not account.is_over.is_set() and faults < MOST_FAULTS:
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                account.refused += 1
                if until_refused:
                    return
                time.sleep(0.01)
                continue
            sent = time.monotonic()
            try:
                connection.request("POST", "/classify", body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == 200:
                    decision = json.loads(content)
                    account.answers.append(Answered(sent, time.monotonic(), decision["Status"], decision["policy"]))
                elif answer.status == 503 and answer.headers["Retry-After"]:
                    account.shed += 1  # not lost: a busy machine paused for longer than max_latency_ms
                else:
                    account.faults.append(f"{answer.status}: {content!r}")
                    faults += 1
                time.sleep(PAUSE_SECONDS)
            except (OSError, http.client.HTTPException) as error:
                account.faults.append(repr(error))
                faults += 1
                connection.close()
