"""Kill workers and the service at random while jobs run, and see whether every row is decided and on record once.

python -m tests.e2e.job_mishaps --jobs 30 --worker-kills 50 --service-kills 2
python -m tests.e2e.job_mishaps --redis --redis-kills 1
"""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click
import psutil
import requests

from tests.conftest import PROJECT, QUICK, train, user_environment
from tests.e2e.conftest import free_port
from tests.records import decision_lines
from tests.redis_server import Redis

ORDER = {"queued": 0, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 1}
BETWEEN = (0.3, 2.5)  # seconds between two kills
FLAGS = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


class Victim:
    """A process that is started again when it was killed."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self.process = self._start()

    def _start(self) -> psutil.Popen:
        with self._log.open("ab") as log:
            return psutil.Popen(self._command, cwd=PROJECT, env=self._environment, stdout=log, stderr=log)

    def kill_one(self, chance: random.Random) -> None:
        """Kill the process or one of its children, and start the process again if it was that."""
        with suppress(psutil.NoSuchProcess):
            chance.choice([self.process, *self.process.children(recursive=True)]).kill()
        self.revive()

    def kill_all(self) -> None:
        """Kill the process and its children, and start it again."""
        for process in [*self.process.children(recursive=True), self.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self.revive()

    def revive(self) -> None:
        time.sleep(0.1)
        if self.process.poll() is not None:
            self.process = self._start()

    def end(self) -> None:
        for process in [*self.process.children(recursive=True), self.process]:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        self.process.wait(30)


class Watcher(threading.Thread):
    """Asks after all jobs all the time, and notes what can't be."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.ids = url, list[str]()
        self.last: dict[str, dict[str, Any]] = {}
        self.wrong: list[str] = []
        self.asked = 0

    def run(self) -> None:
        while True:
            for job in list(self.ids):
                with suppress(requests.RequestException):
                    answer = requests.get(f"{self.url}/jobs/{job}", timeout=5)
                    self.asked += 1
                    if answer.status_code == 200:
                        self._compare(job, answer.json())
                    elif answer.status_code != 503:
                        self.wrong.append(f"{job} answered {answer.status_code}")
            time.sleep(0.05)

    def _compare(self, job: str, found: dict[str, Any]) -> None:
        last = self.last.get(job, found)
        if ORDER[found["state"]] < ORDER[last["state"]] or found["rows"]["done"] < last["rows"]["done"]:
            self.wrong.append(
                f"{job} went back from {last['state']} {last['rows']} to {found['state']} {found['rows']}"
            )
        self.last[job] = found

    def all_have_ended(self) -> bool:
        return all(ORDER[self.last[job]["state"]] for job in self.ids if job in self.last) and len(self.last) == len(
            self.ids
        )


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=30, type=click.IntRange(1), help="Jobs.")
@click.option("--rows", default=20_000, type=click.IntRange(100), help="Most rows of a job.")
@click.option("--worker-kills", default=50, type=click.IntRange(0), help="kill -9 of a worker's process.")
@click.option("--service-kills", default=2, type=click.IntRange(0), help="kill -9 of the service.")
@click.option("--redis", is_flag=True, help="Keep jobs in a Redis, and not in SQLite.")
@click.option("--redis-kills", default=0, type=click.IntRange(0), help="kill -9 of Redis.")
@click.option("--seed", default=1, help="Of when and what is killed.")
@click.option("--minutes", default=15.0, help="How long to wait for the last job.")
def main(
    jobs: int,
    rows: int,
    worker_kills: int,
    service_kills: int,
    redis: bool,
    redis_kills: int,
    seed: int,
    minutes: float,
) -> None:
    """Run jobs amid mishaps, and end with 1 if a row was lost, repeated or decided otherwise."""
    train(*QUICK)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="job-mishaps-") as name, ExitStack() as stack:
        folder = Path(name)
        server = Redis(*FLAGS, "--dir", name) if redis else None
        if server is not None:
            stack.callback(server.kill)
        port = free_port()
        environment = user_environment() | {
            "CREDIT_RISK_JOBS": server.url if server else f"sqlite:///{folder}/jobs.sqlite",
            "CREDIT_RISK_JOBS_FOLDER": str(folder / "jobs"),
            "CREDIT_RISK_JOBS_LEASE_SECONDS": "2",
            "CREDIT_RISK_JOBS_PER_CALLER": str(jobs),
            "CREDIT_RISK_JOBS_NICE": "0",
            "CREDIT_RISK_DECISION_LOG": str(folder / "decisions"),
        }
        bentoml = str(Path(sys.executable).with_name("bentoml"))
        service = Victim([bentoml, "serve", "--production", "--port", str(port)], environment, folder / "service.log")
        stack.callback(service.end)
        worker = Victim(
            [sys.executable, "-m", "credit_risk", "worker", "--processes", "2"], environment, folder / "w.log"
        )
        stack.callback(worker.end)
        watcher = Watcher(f"http://127.0.0.1:{port}")
        sizes = _hand_in(watcher, folder, jobs, rows, chance)
        watcher.start()
        kills = ["worker"] * worker_kills + ["service"] * service_kills + ["redis"] * redis_kills
        chance.shuffle(kills)
        for kill in kills:
            time.sleep(chance.uniform(*BETWEEN))
            if kill == "worker":
                worker.kill_one(chance)
            elif kill == "service":
                service.kill_all()
            elif server is not None:
                server.kill()
                time.sleep(1)
                server.start()
        unfinished = sum(not ORDER[found["state"]] for found in watcher.last.values())
        deadline = time.monotonic() + minutes * 60
        while not (watcher.all_have_ended() and _answers(watcher.url)) and time.monotonic() < deadline:
            time.sleep(0.5)
            worker.revive()
            service.revive()
        faults = _check(watcher, folder, sizes)
        log = (folder / "w.log").read_text()
    click.echo(
        f"{jobs} jobs with {sum(sizes.values()):,} rows; killed: {dict(Counter(kills))}; after the last of these "
        f"{unfinished} jobs had not ended; asked after {watcher.asked:,} times; leases taken back: "
        f"{log.count('is queued again')}; faults: {len(faults)}"
    )
    for fault in faults[:20]:
        click.echo(fault)
    sys.exit(bool(faults))


def _answers(url: str) -> bool:
    """Tell whether the service is there again, which was perhaps killed last."""
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _hand_in(watcher: Watcher, folder: Path, jobs: int, rows: int, chance: random.Random) -> dict[str, int]:
    """Post the jobs, each with an Idempotency-Key, as often as it takes."""
    whole = folder / "applications.csv"
    command = [sys.executable, "-m", "data.generate", "--words", "--rows", str(rows), "-o", str(whole)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    header, *lines = whole.read_bytes().splitlines(keepends=True)
    sizes: dict[str, int] = {}
    for number in range(jobs):
        size = chance.randint(rows // 10, rows)
        headers = {"content-type": "text/csv", "idempotency-key": f"job {number}"}
        content = header + b"".join(lines[:size])
        while True:
            with suppress(requests.RequestException):
                answer = requests.post(f"{watcher.url}/jobs", content, headers=headers, timeout=30)
                if answer.status_code == 202:
                    sizes[answer.json()["id"]] = size
                    break
            time.sleep(0.3)
    watcher.ids += sizes
    return sizes


def _check(watcher: Watcher, folder: Path, sizes: dict[str, int]) -> list[str]:
    """Compare the results with each other, with a batch's decisions, and with the record."""
    faults = list(watcher.wrong)
    reference: dict[int, tuple[str, str, str]] = {}
    records = Counter(json.loads(line)["decision_id"] for line in decision_lines(folder / "decisions"))
    faults += [f"{decision} is on record {count} times" for decision, count in records.items() if count > 1]
    for job, size in sorted(sizes.items(), key=lambda item: -item[1]):
        found = watcher.last.get(job, {"state": "never seen", "error": None})
        if found["state"] != "succeeded" or found["rows"] != {"all": size, "done": size, "refused": 0}:
            faults.append(f"{job} is {found}")
            continue
        text = requests.get(f"{watcher.url}/jobs/{job}/result", timeout=60).text
        rows = list(csv.DictReader(io.StringIO(text)))
        if [int(row["row"]) for row in rows] != list(range(1, size + 1)):
            faults.append(f"{job} has other rows than were sent")
        if any(records[row["decision_id"]] != 1 for row in rows):
            faults.append(f"{job} has decisions that are not on record")
        for row in rows:
            told = row["Status"], row["probability_of_default"], row["reasons"]
            if reference.setdefault(int(row["row"]), told) != told:
                faults.append(f"{job} has another decision in row {row['row']}")
                break
    if len(records) != sum(sizes.values()):
        faults.append(f"{len(records)} decisions are on record, and {sum(sizes.values())} rows were sent")
    return faults + _as_a_batch(watcher.url, folder, reference)


def _as_a_batch(url: str, folder: Path, reference: dict[int, tuple[str, str, str]]) -> list[str]:
    """Compare the first thousand rows with what /classify_batch answers."""
    with (folder / "applications.csv").open(newline="") as file:
        head = "".join(line for line, _ in zip(file, range(1001), strict=False))
    answers = requests.post(f"{url}/classify_table", head, headers={"content-type": "text/csv"}, timeout=60).json()
    told = [
        (a["Status"], str(a["probability_of_default"]), "; ".join(reason["code"] for reason in a["reasons"]))
        for a in answers
    ]
    wrong = sum(reference.get(row, each) != each for row, each in enumerate(told, 1))
    return [f"{wrong} of {len(told)} rows are decided otherwise by the service"] if wrong else []


if __name__ == "__main__":
    main()
