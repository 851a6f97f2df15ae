"""The decision log of a real server: a crash and a full disk lose no decision that was answered."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from credit_risk.contract.record import DecisionRecord
from credit_risk.record.erasing import erase, key_files, keys_of_decision
from credit_risk.record.reader import LogReader
from credit_risk.record.verifying import keys_of, verify
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT, user_environment
from tests.corpus import SAMPLE, body_of
from tests.e2e.callers import PAUSE_SECONDS
from tests.e2e.conftest import Server, serving, wait_until_ready, workers_of
from tests.records import decision_lines, is_of_a_decision

KILLS = int(os.environ.get("KILLS", "2"))


class Asking:
    """Callers that ask again and again, whatever happens to their connections, and keep the ids of the answers."""

    def __init__(self, server: Server) -> None:
        self._address = urlsplit(server.url).netloc
        self._over = threading.Event()
        self.ids: list[str] = []
        self.refused = 0

    def ask_until_over(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        while not self._over.is_set():
            try:
                connection.request("POST", "/classify", json.dumps(SAMPLE), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status == 200:
                    self.ids.append(body["decision_id"])
                else:
                    self.refused += 1
                time.sleep(PAUSE_SECONDS)
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    def end(self) -> None:
        self._over.set()


@contextmanager
def asking(server: Server, callers: int) -> Iterator[Asking]:
    asked = Asking(server)
    with ThreadPoolExecutor(callers) as pool:
        threads = [pool.submit(asked.ask_until_over) for _ in range(callers)]
        try:
            yield asked
        finally:
            asked.end()
    for thread in threads:
        thread.result()


def recorded(folder: Path) -> list[str]:
    """The ids on record; a line that is torn may only be the last of a file."""
    ids = []
    for path in folder.glob("*.ndjson"):
        *lines, last = path.read_bytes().split(b"\n")
        ids += [json.loads(line)["decision_id"] for line in lines if is_of_a_decision(line)]
        if last:
            with pytest.raises(json.JSONDecodeError):
                json.loads(last)
    return ids


def test_killed_workers_lose_no_decision_that_was_answered(tmp_path: Path) -> None:
    with serving(CREDIT_RISK_DECISION_LOG=str(tmp_path)) as server, asking(server, 8) as asked:
        assert workers_of(server, 2) == 2
        for number in range(KILLS):
            time.sleep(0.5)
            psutil.Process(server.process.pid).children()[number % 2].kill()
            assert workers_of(server, 3 + number) == 3 + number  # another one has come
    ids = recorded(tmp_path)
    assert len(asked.ids) > 100
    assert len(set(ids)) == len(ids)
    assert set(asked.ids) <= set(ids)
    print(f"{KILLS} kills: {len(asked.ids)} answered, {len(ids)} on record")  # noqa: T201 - for pytest -s


def test_encrypted_decisions_survive_kills_and_are_erased_beside_the_service(tmp_path: Path) -> None:
    with serving(CREDIT_RISK_DECISION_LOG=str(tmp_path), CREDIT_RISK_DECISION_LOG_ENCRYPT="true") as server:
        with asking(server, 8) as asked:
            assert workers_of(server, 2) == 2
            time.sleep(0.5)
            psutil.Process(server.process.pid).children()[0].kill()
            assert workers_of(server, 3) == 3
        erased = asked.ids[::50]
        for decision_id in erased:
            erase(keys_of_decision(key_files([tmp_path]), decision_id))
        with asking(server, 2) as again:
            wait_until(lambda: len(again.ids) > 20)
    reader = LogReader([str(tmp_path)], lenient=False)
    readable = {entry.record.decision_id for entry in reader.entries()}
    assert set(asked.ids + again.ids) - readable == set(erased)
    assert (reader.keys.erased, reader.keys.lost) == (len(erased), {})
    assert verify(tmp_path, keys_of([tmp_path], [])).faults == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk takes root, who may mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_decisions_until_there_is_space(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    with serving(CREDIT_RISK_DECISION_LOG=str(small_disk), CREDIT_RISK_WORKERS="1") as server:
        with asking(server, 4) as asked:

            def is_full() -> bool:  # a smaller batch may still fit
                answered, refused = len(asked.ids), asked.refused
                wait_until(lambda: asked.refused > refused + 20)
                return len(asked.ids) == answered

            wait_until(is_full)
            answered = len(asked.ids)
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(f"{server.url}/readyz", timeout=5)
            assert len(asked.ids) == answered
            ballast.unlink()
            wait_until_ready(server)
            wait_until(lambda: len(asked.ids) > answered + 10)
        log = server.log.read_text()
        assert "Decisions can't be recorded, so none is made" in log
        assert "No space left on device" in log
        assert "Decisions are recorded and made again" in log
    ids = recorded(small_disk)
    assert len(set(ids)) == len(ids)
    assert set(asked.ids) == set(ids)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_record_names_the_caller_and_the_request_and_nothing_else_does(tmp_path: Path) -> None:
    """An applicant's values are in the decision log alone: not in errors, the log, the access log and the metrics."""
    keys = {"branch": sha256(b"token").hexdigest()}
    planted = {"income": 87654.25, "assets": 7654321.5, "seniority": 53}
    access = {"services": {"credit_risk_classifier": {"logging": {"access": {"enabled": True}}}}}
    environment: dict[str, Any] = {
        "CREDIT_RISK_DECISION_LOG": str(tmp_path),
        "CREDIT_RISK_API_KEYS": json.dumps(keys),
        "BENTOML_CONFIG_OVERRIDES": json.dumps(access),
        "CREDIT_RISK_WORKERS": "1",
    }
    headers = {"Content-Type": "application/json", "Authorization": "Bearer token", "X-Request-ID": "from-the-branch"}
    seen = []
    with serving("--production", folder=PROJECT, **environment) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        bodies = [body_of(**planted), body_of(**planted, home="nowhere"), body_of(**planted, debt="7654322"), b"{"]
        for path, body in [("/classify", body) for body in bodies] + [("/classify_batch", b"[" + bodies[0] + b"]")]:
            connection.request("POST", path, body, headers)
            seen.append(connection.getresponse().read().decode())
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer token"})
        seen.append(connection.getresponse().read().decode())
        connection.close()
    [single, batched] = [DecisionRecord.model_validate_json(line) for line in decision_lines(tmp_path)]
    for record in (single, batched):
        assert (record.caller, record.request_id) == ("branch", "from-the-branch")
        assert record.application.income == planted["income"]
    everything = "".join(seen) + server.log.read_text() + server.stdout.read_text()
    for value in ("87654", "7654321", "7654322"):
        assert value not in everything


def test_the_log_goes_to_stdout_where_asked_for() -> None:
    with serving(CREDIT_RISK_DECISION_LOG="stdout", CREDIT_RISK_WORKERS="1") as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("POST", "/classify", json.dumps(SAMPLE))
        decision = json.loads(connection.getresponse().read())
        connection.close()
    *archived, record = server.stdout.read_text().splitlines()
    assert [json.loads(line)["archive"] for line in archived] == ["policy", "catalogue", "model"]
    assert DecisionRecord.model_validate_json(record).decision_id == decision["decision_id"]
    assert replayed(server.stdout) == "1 decision, all identical\n"


def replayed(log: Path) -> str:
    """What replay says of a log, with the policy, the catalogue and the model of today."""
    command = [sys.executable, "-m", "credit_risk", "replay", str(log)]
    done = subprocess.run(command, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_stdout_that_nobody_reads_stops_decisions_and_nothing_else() -> None:
    reading, writing = os.pipe()
    settings: dict[str, Any] = {"CREDIT_RISK_DECISION_LOG": "stdout", "CREDIT_RISK_WORKERS": "1"}
    with serving(stdout_to=writing, **settings) as server, httpx2.Client(base_url=server.url) as client:

        def decide() -> int:
            return client.post("/classify", json=SAMPLE).status_code

        def is_ready() -> bool:
            return client.get("/readyz").status_code == 200

        def fill() -> None:
            assert any(decide() == 503 for _ in range(500))

        fill()
        assert not is_ready()
        assert client.get("/livez").status_code == 200
        os.read(reading, 2**20)
        wait_until(is_ready)
        assert decide() == 200
        fill()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    os.close(reading)
    os.close(writing)


def test_a_folder_that_somebody_deletes_swallows_no_decision(tmp_path: Path) -> None:
    folder = tmp_path / "decisions"
    settings: dict[str, Any] = {"CREDIT_RISK_DECISION_LOG": str(folder), "CREDIT_RISK_WORKERS": "1"}
    with serving(**settings) as server, httpx2.Client(base_url=server.url) as client:
        assert client.post("/classify", json=SAMPLE).status_code == 200
        shutil.rmtree(folder)
        ids = [client.post("/classify", json=SAMPLE).json()["decision_id"] for _ in range(10)]
        assert recorded(folder) == ids
        assert "Somebody has deleted the decision log" in server.log.read_text()


def test_a_batch_whose_caller_has_gone_is_not_on_record(tmp_path: Path, synthetic: Dataset) -> None:
    folder = tmp_path / "decisions"
    settings: dict[str, Any] = {"CREDIT_RISK_DECISION_LOG": str(folder), "CREDIT_RISK_WORKERS": "1"}
    body = b"[" + b",".join(a.model_dump_json().encode() for a in (synthetic.applications[:] * 3)[:10_000]) + b"]"
    head = b"POST /classify_batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(**settings) as server:
        address = urlsplit(server.url)
        for _ in range(5):
            with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
                connection.sendall(head + body)
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            ids = [decision["decision_id"] for decision in client.post("/classify_batch", content=body).json()]
        assert recorded(folder) == ids
        assert "Traceback" not in server.log.read_text()
