"""Fields on file: this service with a feature store, beside itself with every field sent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import redis

from bench.architectures.feature_store import redis_server, require_redis
from bench.experiment import Row, Say
from bench.load import APPLICATIONS
from bench.paired import all_running, compare
from bench.peer import OURS, PER_REQUEST, Running
from bench.throughput import with_environment
from credit_risk.serving.settings import PROJECT
from credit_risk.training.data import load_dataset

PORT = 3175  # of the first Redis
ON_FILE = ("seniority", "home", "age", "marital", "records", "job", "expenses", "income", "assets")  # of 13
RARE = 6_000  # further customers, of whom each is asked for too rarely to be in memory
CACHE_SIZE = 1_000  # customers in a worker's memory
SENT, SQLITE, COLD, CACHED = "every field sent", "SQLite", "Redis, nothing in memory", "Redis, 9 of 10 in memory"
Fields = dict[str, Any]


def features(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare stores, with two thirds of the fields on file."""
    require_redis()
    applications = [each.model_dump() for each in load_dataset(PROJECT / "data" / "applications.csv").applications]
    file = _write(folder / "customers.ndjson", map(_on_file, range(APPLICATIONS + RARE), cycle(applications)))
    _load(file, f"sqlite:///{folder}/features.sqlite")
    nothing_kept = {"CREDIT_RISK_FEATURES_CACHE_SIZE": "0"}
    some_kept = {"CREDIT_RISK_FEATURES_CACHE_SIZE": str(CACHE_SIZE), "CREDIT_RISK_FEATURES_CACHE_SECONDS": "3600"}
    names = (COLD, CACHED, PER_REQUEST.name)
    with ExitStack() as stack:
        stores = {name: f"redis://127.0.0.1:{PORT + number}/0" for number, name in enumerate(names)}
        for number, url in enumerate(stores.values()):
            stack.enter_context(redis_server(PORT + number))
            _load(file, url)
        peers = {
            SENT: OURS,
            SQLITE: with_environment(
                OURS, SQLITE, {"CREDIT_RISK_FEATURES": f"sqlite:///{folder}/features.sqlite", **nothing_kept}
            ),
            COLD: with_environment(OURS, COLD, {"CREDIT_RISK_FEATURES": stores[COLD], **nothing_kept}),
            CACHED: with_environment(OURS, CACHED, {"CREDIT_RISK_FEATURES": stores[CACHED], **some_kept}),
            PER_REQUEST.name: with_environment(PER_REQUEST, PER_REQUEST.name, {"STORE": stores[PER_REQUEST.name]}),
        }
        some = _write(folder / "some.ndjson", islice(map(_sent, range(APPLICATIONS), applications), APPLICATIONS))
        mixed = _write(folder / "mixed.ndjson", _mixed(applications))
        bodies = dict.fromkeys(peers, some) | {
            SENT: _write(folder / "sent.ndjson", applications[:APPLICATIONS]),
            CACHED: mixed,
        }
        before = {name: _asked(url) for name, url in stores.items()}
        services = stack.enter_context(all_running(peers))
        rows = compare(services, bodies, connections=64, slices=slices, seconds=seconds, say=say)
        for row in rows:
            row["memory_mb"] = services[row["name"]].memory_mb()
        for row in rows:
            if row["name"] in (COLD, CACHED):
                row |= _per_batch(services[row["name"]], before[row["name"]], _asked(stores[row["name"]]))
    return rows


def _on_file(number: int, application: Fields) -> Fields:
    return {"customer": f"C-{number}"} | {name: application[name] for name in ON_FILE}


def _sent(number: int, application: Fields) -> Fields:
    """Leave out what is on file. What is null can't be on file, and is sent."""
    kept = {name: value for name, value in application.items() if name not in ON_FILE or value is None}
    return {"customer": f"C-{number}"} | kept


def _mixed(applications: list[Fields]) -> Iterable[Fields]:
    """Ask nine times for customers who come often, then once for one who comes rarely."""
    often = cycle(range(APPLICATIONS))
    numbers = chain.from_iterable([*islice(often, 9), APPLICATIONS + rare] for rare in range(RARE))
    return (_sent(number, applications[number % len(applications)]) for number in numbers)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _load(file: Path, url: str) -> None:
    command = [sys.executable, "-m", "credit_risk", "features", "load", str(file), "--strict", "--to", url]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


def _asked(url: str) -> tuple[int, int]:
    """Count the MGETs that a Redis has answered, and the keys in all commands."""
    with redis.Redis.from_url(url) as store:
        calls: Any = store.info("commandstats")
        keys: Any = store.info("stats")
    return int(calls.get("cmdstat_mget", {"calls": 0})["calls"]), int(keys["keyspace_hits"] + keys["keyspace_misses"])


def _per_batch(service: Running, before: tuple[int, int], after: tuple[int, int]) -> Row:
    """Say how many MGETs there were for each batch, and what share of customers was in memory."""
    with urllib.request.urlopen(f"{service.url}/metrics") as answer:
        metrics = answer.read().decode()
    batches, rows = (
        float(re.findall(rf"^credit_risk_batch_rows_{name} (\S+)", metrics, re.MULTILINE)[0])
        for name in ("count", "sum")
    )
    mgets, keys = after[0] - before[0], after[1] - before[1]
    return {"mgets_per_batch": mgets / batches, "in_memory": 1 - (keys - mgets) / rows}
