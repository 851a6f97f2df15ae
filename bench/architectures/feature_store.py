"""The feature store: a redis-server of the bench's own, and the customers in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil
import redis

from bench.architectures.handling import ON_FILE, key_of
from bench.peers.shared import InProcess
from credit_risk.contract.application import FIELDS, CreditApplication
from credit_risk.serving.settings import PROJECT
from credit_risk.training.data import load_dataset

CUSTOMERS = 400
OF_THIS_SERVICE, OF_HANDLERS = 0, 1  # databases of Redis


@dataclass(frozen=True)
class Customer:
    """A customer of the lender: what is on file, what a request for a decision sends, and the right answer."""

    name: str
    on_file: dict[str, Any]
    sent: dict[str, Any]
    answer: dict[str, Any]


def customers() -> list[Customer]:
    """Take customers from the bundled applications, with the answers of the model in this process."""
    applications = load_dataset(PROJECT / "data" / "applications.csv").applications[:CUSTOMERS]
    decisions = InProcess.load().decide(applications)
    return [
        _customer(f"C{number:06}", application, decision.model_dump())
        for number, (application, decision) in enumerate(zip(applications, decisions, strict=True))
    ]


def _customer(name: str, application: CreditApplication, decision: dict[str, Any]) -> Customer:
    fields = application.model_dump()
    on_file = {field: fields[field] for field in ON_FILE if fields[field] is not None}  # a file has no word for null
    sent = {"customer": name} | {field: fields[field] for field in FIELDS if field not in on_file}
    answer = {key: decision[key] for key in ("Status", "probability_of_default")}
    return Customer(name, on_file, sent, answer)


def require_redis() -> None:
    if shutil.which("redis-server") is None:
        raise click.ClickException("redis-server is not installed; on Debian and Ubuntu `apt-get install redis-server`")


@contextmanager
def redis_server(port: int) -> Iterator[psutil.Popen]:
    """Run a redis-server that keeps nothing on disk."""
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(process, port)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: psutil.Popen, port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    with redis.Redis(port=port) as store:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                store.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.1)
    raise RuntimeError(f"redis-server did not start on port {port}: is the port taken?")


def fill(url: str, customers: Sequence[Customer]) -> None:
    """Put the customers' fields where the scoring handlers and this service look for them."""
    with redis.Redis.from_url(f"{url}/{OF_HANDLERS}") as store:
        store.mset({key_of(customer.name): json.dumps(customer.on_file) for customer in customers})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.ndjson"
        file.write_text("".join(json.dumps({"customer": c.name} | c.on_file) + "\n" for c in customers))
        command = [sys.executable, "-m", "credit_risk", "features", "load", str(file), "--strict"]
        subprocess.run([*command, "--to", f"{url}/{OF_THIS_SERVICE}"], cwd=PROJECT, check=True, capture_output=True)
