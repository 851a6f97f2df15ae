"""Ask with Idempotency-Keys again and again while workers are killed, and see whether each is decided once.

python -m tests.resilience.retries --times 10000 --kills 20 --restarts 1
python -m tests.resilience.retries --redis
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from tests.conftest import PROJECT, QUICK, train
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving, workers_of
from tests.e2e.mishaps import workers_in
from tests.records import is_of_a_decision
from tests.redis_server import Redis

REQUEST_SECONDS = 2  # so that a claim is taken over after 7 seconds
CALLERS = 8
SPREAD = 100  # requests between those with the same key, at most
BATCH = 300  # applications in every tenth request
LONGEST_SECONDS = 60


class Toll(NamedTuple):
    """What came of it."""

    answers: dict[str, int]  # by what they were
    records: dict[int, int]  # how many applications are on record so often
    differing: int  # keys with different answers
    unanswered: int  # keys without one
    taken_over: int  # requests that were cut short and asked again
    from_record: int  # of these, how many were on record already

    @property
    def is_right(self) -> bool:
        return set(self.records) == {1} and not self.differing and not self.unanswered


class Asking:
    """Callers with keys, who ask again whatever has become of their last request."""

    def __init__(self, keys: int, chance: random.Random) -> None:
        self.bodies = {f"key-{number}": _body(number, chance) for number in range(keys)}
        self.answers: Counter[str] = Counter()
        self.contents: dict[str, set[bytes]] = defaultdict(set)
        self.asked = 0
        self._lock = threading.Lock()

    def ask(self, server: Server, keys: list[str]) -> list[str]:
        """Ask with each of these keys once. Gives the keys that were not answered."""
        with ThreadPoolExecutor(CALLERS) as pool:
            parts = [pool.submit(self._ask_all, server, keys[first::CALLERS]) for first in range(CALLERS)]
            return [key for part in parts for key in part.result()]

    def ask_until_answered(self, server: Server) -> None:
        """Ask with every key until it is answered."""
        deadline = time.monotonic() + LONGEST_SECONDS
        left = self.ask(server, list(self.bodies))
        while left and time.monotonic() < deadline:
            time.sleep(0.5)
            left = self.ask(server, left)

    def _ask_all(self, server: Server, keys: list[str]) -> list[str]:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        left = []
        for key in keys:
            path, body = self.bodies[key]
            content, told = b"", "no answer"
            try:
                connection.request("POST", path, body, {"Idempotency-Key": key})
                answer = connection.getresponse()
                content = answer.read()
                again = " again" if answer.headers["Idempotency-Replayed"] else ""
                told = f"{answer.status}{again}"
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.05)
            with self._lock:
                self.asked += 1
                self.answers[told] += 1
                if told.startswith("200"):
                    self.contents[key].add(content)
                else:
                    left.append(key)
        connection.close()
        return left


def run(folder: Path, *, times: int, keys: int, kills: int, restarts: int, seed: int, url: str | None = None) -> Toll:
    """Ask so often and kill so many workers meanwhile. `url` is that of a Redis; without it keys are in SQLite."""
    chance = random.Random(seed)
    configuration = folder / "bentoconfiguration.yaml"
    text = (PROJECT / "bentoconfiguration.yaml").read_text()
    assert "timeout: 10 " in text
    configuration.write_text(text.replace("timeout: 10 ", f"timeout: {REQUEST_SECONDS} "))
    environment: dict[str, Any] = {
        "BENTOML_CONFIG": str(configuration),
        "CREDIT_RISK_JOBS": url or f"sqlite:///{folder}/jobs/jobs.sqlite",
        "CREDIT_RISK_JOBS_FOLDER": str(folder / "jobs"),
        "CREDIT_RISK_DECISION_LOG": str(folder / "decisions"),
        "CREDIT_RISK_WORKERS": "2",
    }
    asking = Asking(keys, chance)
    taken_over = []
    rounds = _rounds(list(asking.bodies), times, kills + restarts, chance)
    for life in range(1 + restarts):
        with serving("--production", **environment) as server:
            for number, chosen in enumerate(rounds[life :: 1 + restarts], 1):
                assert workers_of(server, number + 1) == number + 1
                is_last = number == len(rounds[life :: 1 + restarts])
                if is_last and life == restarts:
                    asking.ask(server, chosen)
                    asking.ask_until_answered(server)
                else:
                    with _after(asking, chance.randrange(len(chosen)), _kill_all if is_last else _kill_one, server):
                        asking.ask(server, chosen)
        log = server.log.read_text()
        taken_over += [line.rsplit(": ", 1)[1] for line in log.splitlines() if "was cut short; on record" in line]
        assert "Traceback" not in log, log
    return _toll(asking, folder / "decisions", taken_over)


def _rounds(keys: list[str], times: int, kills: int, chance: random.Random) -> list[list[str]]:
    """Spread requests over rounds that are ended by kills, so that in each some keys come for the first time."""
    places = [(number + chance.random() * SPREAD) / times for number in range(times)]
    chosen = [keys[int(place * len(keys)) % len(keys)] for place in places]
    size = -(-times // (kills + 1))
    return [chosen[begin : begin + size] for begin in range(0, times, size)]


@contextmanager
def _after(asking: Asking, count: int, kill: Callable[[Server], None], server: Server) -> Iterator[None]:
    """Kill when so many more requests have been asked."""
    due, over = asking.asked + count, threading.Event()

    def wait() -> None:
        while asking.asked < due and not over.wait(0.001):
            pass
        kill(server)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _kill_one(server: Server) -> None:
    random.choice(workers_in(server)).kill()


def _kill_all(server: Server) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def _body(number: int, chance: random.Random) -> tuple[str, str]:
    """Make a request whose applications have references of their own."""
    size = BATCH if number % 10 == 9 else 1
    applications = [
        {**SAMPLE, "amount": chance.randint(100, 5000), "reference": f"{number}/{place}"} for place in range(size)
    ]
    return ("/classify_batch", json.dumps(applications)) if size > 1 else ("/classify", json.dumps(applications[0]))


def _toll(asking: Asking, log: Path, taken_over: list[str]) -> Toll:
    records: Counter[str] = Counter()
    for path in log.glob("decisions-*"):
        for line in path.read_bytes().splitlines(keepends=True):
            if is_of_a_decision(line) and line.endswith(b"\n"):  # else a kill tore it
                records[json.loads(line)["reference"]] += 1
    references = [each for _, body in asking.bodies.values() for each in _references(json.loads(body))]
    return Toll(
        dict(sorted(asking.answers.items())),
        dict(Counter(records[reference] for reference in references)),
        sum(len(contents) > 1 for contents in asking.contents.values()),
        len(asking.bodies) - len(asking.contents),
        len(taken_over),
        sum(not told.startswith("0 of") for told in taken_over),
    )


def _references(body: Any) -> list[str]:
    return [each["reference"] for each in (body if isinstance(body, list) else [body])]


@click.command(context_settings={"show_default": True})
@click.option("--times", default=10_000, type=click.IntRange(1), help="Requests.")
@click.option("--keys", default=2_000, type=click.IntRange(1), help="Keys, one of which each request has.")
@click.option("--kills", default=20, type=click.IntRange(0), help="kill -9 of a worker.")
@click.option("--restarts", default=1, type=click.IntRange(0), help="kill -9 of the service, and another start.")
@click.option("--redis", is_flag=True, help="Keep keys in a Redis, and not in SQLite.")
@click.option("--seed", default=1, help="Of what is asked and killed when.")
def main(times: int, keys: int, kills: int, restarts: int, redis: bool, seed: int) -> None:
    """Ask again and again amid kills, and end with 1 if a key was decided twice, differently or not at all."""
    assert train(*QUICK).returncode == 0
    with tempfile.TemporaryDirectory(prefix="retries-") as name, ExitStack() as stack:
        server = Redis("--save", "", "--dir", name) if redis else None
        if server is not None:
            stack.callback(server.kill)
        begun = time.monotonic()
        url = server.url if server else None
        toll = run(Path(name), times=times, keys=keys, kills=kills, restarts=restarts, seed=seed, url=url)
    click.echo(
        f"{sum(toll.answers.values()):,} requests with {keys:,} keys in {time.monotonic() - begun:.0f} s; killed: "
        f"{kills} workers, {restarts} services\nanswers: {toll.answers}\n"
        f"applications by their records: {toll.records}\n"
        f"keys with different answers: {toll.differing}; with none: {toll.unanswered}\n"
        f"requests that were cut short and taken over: {toll.taken_over}, of which on record: {toll.from_record}"
    )
    sys.exit(not toll.is_right)


if __name__ == "__main__":
    main()
