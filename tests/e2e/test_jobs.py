"""Jobs over a real service with a worker beside it: handed in, followed, fetched, cancelled, notified of."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pyarrow.parquet as pq
import pytest
import requests
from standardwebhooks.webhooks import Webhook

from credit_risk.contract.application import EXAMPLE
from credit_risk.jobs.job import Lease
from credit_risk.jobs.sqlite_store import SqliteJobs
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT, user_environment
from tests.e2e.conftest import Server, serving
from tests.portfolio.files import write
from tests.records import decision_lines

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
TIMEOUT = 60
CSV = {"content-type": "text/csv"}
NDJSON = {"content-type": "application/x-ndjson"}
LINE = EXAMPLE.model_dump_json().encode() + b"\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Server]:
    (place / "portfolios").mkdir()
    with serving("--production", **_environment(place)) as server:
        yield server


def _environment(place: Path) -> dict[str, Any]:
    return {
        "CREDIT_RISK_JOBS": f"sqlite:///{place}/jobs.sqlite",
        "CREDIT_RISK_JOBS_FOLDER": str(place / "files"),
        "CREDIT_RISK_JOBS_WORKERS": "1",
        "CREDIT_RISK_JOBS_LEASE_SECONDS": "2",
        "CREDIT_RISK_JOBS_NICE": "0",  # so that tests beside do not hold them up
        "CREDIT_RISK_JOBS_MAX_MB": "8",
        "CREDIT_RISK_JOBS_PER_CALLER": "30",
        "CREDIT_RISK_JOBS_SOURCES": json.dumps([str(place / "portfolios")]),
        "CREDIT_RISK_JOBS_CALLBACK_NETWORKS": '["127.0.0.0/8"]',
        "CREDIT_RISK_WEBHOOK_SECRET": SECRET,
        "CREDIT_RISK_DECISION_LOG": str(place / "decisions"),
    }


def post(service: Server, content: bytes, headers: dict[str, str] = CSV, **query: str) -> requests.Response:
    return requests.post(f"{service.url}/jobs", content, headers=headers, params=query, timeout=TIMEOUT)


def get(service: Server, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{service.url}{path}", headers=headers, timeout=TIMEOUT)


def ended(service: Server, job: str, seconds: float = 90) -> dict[str, Any]:
    """Wait for the end of a job."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found: dict[str, Any] = get(service, f"/jobs/{job}").json()
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"the job did not end:\n{service.log.read_text()[-3000:]}")


def test_a_file_is_decided_as_a_batch_is(service: Server, place: Path, synthetic: Dataset, tmp_path: Path) -> None:
    rows = [application.model_dump() for application in synthetic.applications[:2000]]
    accepted = post(service, write(tmp_path / "in.csv", rows).read_bytes())
    assert (accepted.status_code, accepted.json()["state"]) == (202, "queued")
    job = accepted.json()["id"]
    assert accepted.headers["location"] == f"/jobs/{job}"
    assert int(accepted.headers["retry-after"]) >= 1
    found = ended(service, job)
    assert (found["state"], found["rows"]) == ("succeeded", {"all": 2000, "done": 2000, "refused": 0})
    batch = requests.post(f"{service.url}/classify_batch", json=rows, timeout=TIMEOUT).json()
    result = get(service, found["result"])
    assert result.headers["content-type"].startswith("text/csv")
    decided = list(csv.DictReader(io.StringIO(result.text)))
    for row, answer in zip(decided, batch, strict=True):
        assert row["Status"] == answer["Status"]
        assert float(row["probability_of_default"]) == answer["probability_of_default"]
        assert row["reasons"] == "; ".join(reason["code"] for reason in answer["reasons"])
    lines = get(service, found["result"], accept="application/x-ndjson").text.splitlines()
    assert [json.loads(line)["decision_id"] for line in lines] == [row["decision_id"] for row in decided]
    parquet = get(service, found["result"], accept="application/vnd.apache.parquet").content
    assert pq.read_table(io.BytesIO(parquet)).num_rows == 2000
    piece = get(service, found["result"], range="bytes=10-19")
    assert (piece.status_code, piece.content) == (206, result.content[10:20])
    assert get(service, found["result"], accept="image/png").status_code == 406
    assert get(service, f"/jobs/{job}/rejects").text == "row,field,fix\n"
    records = decision_lines(place / "decisions", f"*{job}*")
    assert len(records) == 2000
    assert job in [each["id"] for each in get(service, "/jobs").json()["jobs"]]


def test_the_progress_of_a_job_is_told_as_events(service: Server) -> None:
    job = post(service, LINE * 30_000, NDJSON).json()["id"]
    events = get(service, f"/jobs/{job}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    told = [event.splitlines() for event in events.text.strip().split("\n\n")]
    assert told[-1][1] == "event: end"
    assert {event[1] for event in told[:-1]} == {"event: progress"}
    done = [json.loads(event[2].removeprefix("data: "))["rows"]["done"] for event in told]
    assert done == sorted(done)
    assert done[-1] == 30_000


def test_a_job_can_be_cancelled_and_forgotten(service: Server) -> None:
    job = post(service, LINE * 40_000, NDJSON).json()["id"]
    early = get(service, f"/jobs/{job}/result")
    assert early.status_code == 409
    assert int(early.headers["retry-after"]) >= 1
    cancelled = requests.delete(f"{service.url}/jobs/{job}", timeout=TIMEOUT)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert get(service, f"/jobs/{job}/result").json()["error"] == "The job was cancelled, so it has no result"
    assert requests.delete(f"{service.url}/jobs/{job}", timeout=TIMEOUT).status_code == 204
    assert get(service, f"/jobs/{job}").status_code == 404
    assert requests.delete(f"{service.url}/jobs/{job}", timeout=TIMEOUT).status_code == 404


def test_one_application_may_be_a_job(service: Server) -> None:
    headers = {"prefer": "respond-async, wait=10"}
    referenced = EXAMPLE.model_dump_json()[:-1] + ',"reference":"A-1"}'
    accepted = requests.post(f"{service.url}/classify", referenced, headers=headers, timeout=TIMEOUT)
    assert (accepted.status_code, accepted.headers["preference-applied"]) == (202, "respond-async")
    found = ended(service, accepted.json()["id"])
    answer = requests.post(f"{service.url}/classify", referenced, timeout=TIMEOUT).json()
    assert answer["reference"] == "A-1"
    result = get(service, found["result"], accept="application/json").json()
    assert {**result, "decision_id": ""} == {**answer, "decision_id": ""}
    refused = requests.post(f"{service.url}/classify", b"{}", headers=headers, timeout=TIMEOUT)
    assert refused.status_code == 400
    assert refused.json()["detail"]


def test_an_idempotency_key_makes_one_job(service: Server) -> None:
    headers = {**NDJSON, "idempotency-key": "a key"}
    first = post(service, LINE, headers).json()
    assert post(service, LINE, headers).json()["id"] == first["id"]
    other = post(service, LINE * 2, headers)
    assert other.status_code == 422
    assert other.json()["error"] == "Send another Idempotency-Key: this one came with another request before"
    ended(service, first["id"])


def test_the_caller_is_notified(service: Server) -> None:
    with listening() as (url, heard):
        job = post(service, LINE, NDJSON, callback_url=url).json()["id"]
        ended(service, job)
        found = _delivered(service, job)
    headers, body = heard[0]
    told = Webhook(SECRET).verify(body, headers)  # the reference library; it raises where the signature is wrong
    assert (told["type"], told["data"]["id"], told["data"]["state"]) == ("job.succeeded", job, "succeeded")
    assert headers["webhook-id"] == f"msg_{job}"
    assert [(attempt["status"], attempt["fault"]) for attempt in found["callback"]["attempts"]] == [(204, None)]
    assert found["callback"]["next_attempt"] is None


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A receiver that answers 204, its URL, and what it has heard."""
    heard: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((dict(self.headers.items()), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()


def _delivered(service: Server, job: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found: dict[str, Any] = get(service, f"/jobs/{job}").json()
        if found["callback"]["attempts"]:
            return found
        time.sleep(0.2)
    raise AssertionError("nobody was notified")


def test_a_job_may_refer_to_a_file(service: Server, place: Path) -> None:
    path = place / "portfolios" / "one.ndjson"
    path.write_bytes(LINE)
    reference = {"content-type": "application/json"}
    job = post(service, json.dumps({"source": str(path)}).encode(), reference).json()["id"]
    assert ended(service, job)["rows"] == {"all": 1, "done": 1, "refused": 0}
    (place / "portfolios" / "link.ndjson").symlink_to("/etc/passwd")
    for outside in ("/etc/passwd.csv", str(place / "portfolios" / "..") + "/x.csv", "s3://bucket/x.csv", "x.csv"):
        refused = post(service, json.dumps({"source": outside}).encode(), reference)
        assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (400, ["source"]), outside
    linked = post(service, json.dumps({"source": str(place / "portfolios" / "link.ndjson")}).encode(), reference)
    assert linked.status_code == 400
    absent = post(service, json.dumps({"source": str(place / "portfolios" / "no.csv")}).encode(), reference)
    assert "there is no file" in ended(service, absent.json()["id"])["error"]


@pytest.mark.parametrize(
    ("content", "headers", "query", "status", "said"),
    [
        (b"", CSV, {}, 400, "The body is empty"),
        (b"x", {"content-type": "text/plain"}, {}, 415, "Send a file as one of these types"),
        (b"x", {}, {}, 415, "Send a file as one of these types"),
        (b"\x1f\x8b\x08 zipped", CSV, {}, 415, "Send the file uncompressed"),
        (b"PK\x03\x04", NDJSON, {}, 415, "Send the file uncompressed"),
        (b"x", {**CSV, "content-encoding": "gzip"}, {}, 415, "Send the file without a Content-Encoding"),
        (b"a,b", {"content-type": "application/vnd.apache.parquet"}, {}, 415, "Send a file of the type that"),
        (b"x" * (8 * 2**20 + 1), CSV, {}, 413, "Send at most 8388608 bytes"),
        (b'{"source": 1}', {"content-type": "application/json"}, {}, 400, "The body is no job"),
        (b'{"sauce": "a"}', {"content-type": "application/json"}, {}, 400, "The body is no job"),
        (b"{" * 70_000, {"content-type": "application/json"}, {}, 400, "The body is no job"),
        (LINE, NDJSON, {"callback_url": "http://10.0.0.1/"}, 400, "1 fault in the job: callback_url"),
        (LINE, NDJSON, {"callback_url": "ftp://example.com"}, 400, "1 fault in the job: callback_url"),
        (LINE, {**NDJSON, "idempotency-key": "k" * 256}, {}, 400, "Send an Idempotency-Key"),
    ],
)
def test_what_can_not_be_a_job_is_refused_at_once(
    service: Server, content: bytes, headers: dict[str, str], query: dict[str, str], status: int, said: str
) -> None:
    answer = post(service, content, headers, **query)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
    assert answer.headers["x-request-id"]


def test_a_chunked_body_that_is_too_large_is_refused_and_leaves_nothing(service: Server, place: Path) -> None:
    pieces = (b"x" * 100_000 for _ in range(100))
    answer = requests.post(f"{service.url}/jobs", data=pieces, headers=CSV, timeout=TIMEOUT)
    assert answer.status_code == 413
    ids = {job["id"] for job in get(service, "/jobs").json()["jobs"]}
    folders = {path.name for path in (place / "files").iterdir() if path.is_dir()} - {"archive"}
    assert folders <= ids


def test_an_upload_may_take_as_long_as_it_comes_steadily(service: Server) -> None:
    def sent(step: int) -> bytes:
        """Send as many bytes every other second, and give the answer."""
        address = urlsplit(service.url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            head = b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % (6 * step))
            for _ in range(6):
                time.sleep(2.1)
                connection.sendall(b"\n" * step)
            return connection.recv(12)

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(sent, (70_000, 100))) == [b"HTTP/1.1 202", b"HTTP/1.1 408"]


@pytest.mark.parametrize("path", ["/jobs/x", "/jobs/01a201b2-6a22-76cc-874e-642041f574ab", "/jobs/x/y/z"])
def test_unknown_jobs_are_not_found(service: Server, path: str) -> None:
    answer = get(service, path)
    assert (answer.status_code, answer.json()["error"]) == (404, "There is nothing here; / lists what there is")
    assert requests.put(f"{service.url}/jobs", timeout=TIMEOUT).status_code == 405


def test_a_killed_worker_is_replaced_and_its_job_goes_on(service: Server, place: Path) -> None:
    job = post(service, LINE * 45_000, NDJSON).json()["id"]
    while get(service, f"/jobs/{job}").json()["rows"]["done"] == 0:
        time.sleep(0.05)
    workers = [p for p in psutil.Process(service.process.pid).children(recursive=True) if "worker" in p.cmdline()]
    assert len(workers) >= 3
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    found = ended(service, job)
    assert (found["state"], found["rows"]["done"]) == ("succeeded", 45_000)
    records = decision_lines(place / "decisions", f"*{job}*")
    assert len(records) == 45_000


def test_a_job_is_run_by_one_worker_at_a_time(service: Server, place: Path) -> None:
    """The one that has it is paused beyond its lease, and goes on when another has done its work."""
    store = SqliteJobs(place / "jobs.sqlite")
    job = post(service, LINE * 30_000, NDJSON).json()["id"]
    paused = _running(store, job)
    _pause(int(paused.worker.rpartition("/")[2]), place / "jobs.sqlite")
    environment = {name: value for name, value in _environment(place).items() if name != "CREDIT_RISK_JOBS_WORKERS"}
    command = [sys.executable, "-m", "credit_risk", "worker"]
    other = subprocess.Popen(command, cwd=PROJECT, env=user_environment() | environment, stderr=subprocess.DEVNULL)
    try:
        found = ended(service, job)
        before = store.get(job), get(service, found["result"]).content
        os.kill(int(paused.worker.rpartition("/")[2]), signal.SIGCONT)
        follower = post(service, LINE, NDJSON).json()["id"]  # that either may run
        ended(service, follower)
    finally:
        other.terminate()
        assert other.wait(30) == 0
    assert (store.get(job), get(service, found["result"]).content) == before
    assert before[0] is not None
    assert before[0].tokens >= 2
    records = decision_lines(place / "decisions", f"*{job}*")
    assert len(records) == len({json.loads(line)["decision_id"] for line in records}) == 30_000


def _pause(process: int, path: Path) -> None:
    """Pause a process where it does not write to the jobs' file, which would be locked for all."""
    while True:
        os.kill(process, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            os.kill(process, signal.SIGCONT)
            time.sleep(0.01)


def _running(store: SqliteJobs, job: str) -> Lease:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = store.get(job)
        if found is not None and found.lease is not None:
            return found.lease
        time.sleep(0.01)
    raise AssertionError("nobody runs the job")


def test_the_worker_ends_with_the_service(place: Path) -> None:
    with serving(
        "--production",
        CREDIT_RISK_JOBS=f"sqlite:///{place}/others.sqlite",
        CREDIT_RISK_JOBS_FOLDER=str(place / "others"),
        CREDIT_RISK_JOBS_WORKERS="2",
    ) as server:
        deadline = time.monotonic() + 30
        while len(_workers_of(server)) < 4 and time.monotonic() < deadline:  # one watches, one looks after jobs
            time.sleep(0.1)
        workers = _workers_of(server)
        assert len(workers) == 4
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def _workers_of(server: Server) -> list[psutil.Process]:
    return [p for p in psutil.Process(server.process.pid).children(recursive=True) if "worker" in p.cmdline()]
