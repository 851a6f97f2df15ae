"""Let a real Redis fail under a real service that asks it, and count what callers are answered.

    python -m tests.neighbours.redis_outages stop --seconds 10

Three kinds of callers ask at the same time, each leaving out one field: `refuse`, `stale` and `missing` are what the
features file says to do without it. Without options it is what the tests do.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from tests.conftest import QUICK, train
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving, wait_until_ready
from tests.e2e.mishaps import spin
from tests.e2e.test_features import run
from tests.redis_server import Redis, redis_server

# The field that callers leave out, by what is done without it.
LEFT_OUT = {"refuse": "income", "stale": "job", "missing": "debt"}
FEATURES = """fields:
  income: {max_age: 90d, otherwise: refuse}
  job: {max_age: 90d, otherwise: stale, stale_up_to: 180d}
  debt: {max_age: 90d, otherwise: missing}
"""
# An applicant who is approved with every field known, so that a MAYBE tells that one is missing.
APPLICANT = SAMPLE | {"seniority": 20, "income": 500.0, "job": "fixed", "debt": 0.0}
CUSTOMERS = 50
CACHE_SECONDS = 1  # so that the store is asked again and again
SECONDS_BEFORE = 2.0
SECONDS_TO_RECOVER = 30.0
BODIES = {
    kind: [
        json.dumps({"customer": f"C-{number}", **{k: v for k, v in APPLICANT.items() if k != lacking}})
        for number in range(CUSTOMERS)
    ]
    for kind, lacking in LEFT_OUT.items()
}


class Answered(NamedTuple):
    """An answer to one kind of caller."""

    when: float  # monotonic; when it was received
    kind: str
    what: str  # `approved`, `MAYBE without debt`, `503`; anything else is wrong


@dataclass
class Account:
    """All answers."""

    answers: list[Answered] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    unready: int = 0  # answers of /readyz other than 200

    def counts(self, begin: float, end: float) -> dict[str, Counter[str]]:
        """Count the answers between two moments, by kind of caller and what they were."""
        counts: dict[str, Counter[str]] = {kind: Counter() for kind in LEFT_OUT}
        for when, kind, what in self.answers:
            if begin <= when < end:
                counts[kind][what] += 1
        return counts

    def last_other(self, since: float) -> float:
        """Give the seconds from then until the last answer that was not as it is with a working store."""
        late = [when - since for when, _, what in self.answers if what != "approved" and when > since]
        return max(late, default=0.0)


class Outage(NamedTuple):
    """What came of an outage."""

    before: dict[str, Counter[str]]
    during: dict[str, Counter[str]]  # from the outage until the store is back
    after: dict[str, Counter[str]]  # from when everything was normal again
    normal_after: float  # seconds from when the store was back
    unready: int
    log: str

    @property
    def wrong(self) -> list[tuple[str, str]]:
        """Answers that must not be."""
        allowed = {"refuse": {"503"}, "stale": set(), "missing": {"MAYBE without debt"}}
        return [
            (kind, what)
            for phase in (self.before, self.during, self.after)
            for kind, counts in phase.items()
            for what in counts
            if what not in {"approved", *allowed[kind]}
        ]


def what_of(status: int, headers: Any, content: dict[str, Any]) -> str:
    """Say in short what an answer is."""
    if status == 503 and headers.get("retry-after"):
        return "503"
    if status != 200:
        return f"{status}: {content['error']}"
    if content["Status"] == "APPROVED" and not content["reasons"]:
        return "approved"
    codes = [reason["code"] for reason in content["reasons"]]
    if (
        content["Status"] == "MAYBE"
        and "P05" in codes
        and "debt_unverified" in [w["code"] for w in content["warnings"]]
    ):
        return "MAYBE without debt"
    return f"{content['Status']} {codes}"


def _call(url: str, kind: str, account: Account) -> None:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    number = 0
    while not account.over.is_set():
        number += 1
        try:
            connection.request("POST", "/classify", BODIES[kind][number % CUSTOMERS])
            response = connection.getresponse()
            what = what_of(response.status, response.headers, json.loads(response.read()))
        except (OSError, HTTPException) as error:
            what = repr(error)
            connection.close()
        account.answers.append(Answered(time.monotonic(), kind, what))
    connection.close()


def _watch(url: str, account: Account) -> None:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    while not account.over.wait(0.05):
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        response.read()
        account.unready += response.status != 200
    connection.close()


@contextmanager
def _calling(server: Server) -> Iterator[Account]:
    account = Account()
    threads = [threading.Thread(target=_call, args=(server.url, kind, account)) for kind in LEFT_OUT]
    threads.append(threading.Thread(target=_watch, args=(server.url, account)))
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        account.over.set()
        for thread in threads:
            thread.join()


def _load(folder: Path, store: Redis) -> None:
    rows = [{"customer": f"C-{number}", **{k: APPLICANT[k] for k in LEFT_OUT.values()}} for number in range(CUSTOMERS)]
    file = folder / "customers.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("features", "load", str(file), "--to", store.url, "--features-file", str(folder / "features.yaml"))


def kill(store: Redis, seconds: float, refill: Callable[[], None]) -> None:
    """Kill Redis; it comes back empty, and is filled again."""
    store.kill()
    time.sleep(seconds)
    store.start()
    time.sleep(0.5)  # empty
    refill()


def stop(store: Redis, seconds: float, refill: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    """Stop Redis, so that it accepts connections and answers nothing."""
    store.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    store.process.send_signal(signal.SIGCONT)


def restart(store: Redis, seconds: float, refill: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    """Restart Redis, and fill it once the service has missed what was in it."""
    store.kill()
    store.start()
    time.sleep(1.5 * CACHE_SECONDS)  # until the service has to ask it
    refill()


Happen = Callable[[Redis, float, Callable[[], None]], None]
OUTAGES: dict[str, Happen] = {
    "kill": kill,
    "stop": stop,
    "restart": restart,
}


def outage(name: str, seconds: float = 2.0) -> Outage:
    """Let one outage happen."""
    with TemporaryDirectory() as temporary, redis_server() as store:
        folder = Path(temporary)
        (folder / "features.yaml").write_text(FEATURES)
        _load(folder, store)
        with serving(
            CREDIT_RISK_FEATURES=store.url,
            CREDIT_RISK_FEATURES_FILE=str(folder / "features.yaml"),
            CREDIT_RISK_FEATURES_CACHE_SECONDS=str(CACHE_SECONDS),
            CREDIT_RISK_DECISION_LOG=str(folder / "decisions"),
        ) as server:
            wait_until_ready(server)
            with _calling(server) as account:
                begun = time.monotonic()
                time.sleep(SECONDS_BEFORE)
                out = time.monotonic()
                OUTAGES[name](store, seconds, lambda: _load(folder, store))
                back = time.monotonic()
                _until_normal(account, back)
            log = server.log.read_text()
        over = time.monotonic()
        normal = back + account.last_other(back)
        assert "identical" in run("replay", str(folder / "decisions"))
    return Outage(
        account.counts(begun, out),
        account.counts(out, back),
        account.counts(normal + 1e-9, over),
        normal - back,
        account.unready,
        log,
    )


def _until_normal(account: Account, back: float) -> None:
    """Wait until all kinds of callers have been answered as with a working store for a while."""
    deadline = back + SECONDS_TO_RECOVER
    quiet = 2.0 * CACHE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = time.monotonic()
        lately = {(kind, what) for when, kind, what in list(account.answers) if when > now - quiet}
        if now - back > quiet and lately == {(kind, "approved") for kind in LEFT_OUT}:
            return


@click.command(context_settings={"show_default": True})
@click.argument("name", type=click.Choice(list(OUTAGES)))
@click.option("--seconds", default=2.0, help="How long the outage lasts.")
@click.option("--times", default=1, help="How often to let it happen.")
@click.option("--busy", default=0, help="Processes that keep the processor busy meanwhile.")
def main(name: str, seconds: float, times: int, busy: int) -> None:
    """Let the outage NAME happen, and list the answers. The exit status is 1 if any was wrong."""
    assert train(*QUICK).returncode == 0
    for loop in [multiprocessing.Process(target=spin, daemon=True) for _ in range(busy)]:
        loop.start()
    wrong = 0
    for _ in range(times):
        found = outage(name, seconds)
        for phase in ("before", "during", "after"):
            told = {kind: dict(counts) for kind, counts in getattr(found, phase).items()}
            click.echo(f"{name} {phase}: {told}")
        click.echo(f"normal after {found.normal_after:.2f} s; not ready {found.unready} times; wrong: {found.wrong}")
        wrong += len(found.wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
