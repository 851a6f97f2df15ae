"""The load-test users, headless against the real server; and the tutorial's locustfile as it is printed there."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, free_port

LOCUST = str(Path(sys.executable).with_name("locust"))

TUTORIAL = f"""
import numpy as np
from locust import task
from locust import between
from locust import HttpUser

sample = {SAMPLE!r}

class CreditRiskTestUser(HttpUser):
    @task
    def classify(self):
        self.client.post("/classify", json=sample)

    wait_time = between(0.01, 2)
"""


def swarm(server: Server, locustfile: Path, results: Path, *users: str) -> dict[str, str]:
    command = [LOCUST, "--headless", "--host", server.url, "--users", "10", "--spawn-rate", "10", "--run-time", "10s"]
    command += ["--locustfile", str(locustfile), "--csv", str(results / "locust"), "--only-summary", *users]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    with (results / "locust_stats.csv").open() as file:
        return next(row for row in csv.DictReader(file) if row["Name"] == "/classify")


def test_the_users_of_the_project_see_no_failure(server: Server, tmp_path: Path) -> None:
    for user in ("CreditRiskTestUser", "ApplicantUser"):
        stats = swarm(server, PROJECT / "locustfile.py", tmp_path, user)
        assert int(stats["Request Count"]) > 10
        assert stats["Failure Count"] == "0"


def test_the_tutorials_locustfile_sees_no_failure(server: Server, tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(TUTORIAL)
    stats = swarm(server, tmp_path / "locustfile.py", tmp_path)
    assert int(stats["Request Count"]) > 10
    assert stats["Failure Count"] == "0"


@pytest.mark.parametrize("command", [[LOCUST, "-H", "URL"], [LOCUST, "-H", "URL", "-f", "locustfile.py"]], ids=" ".join)
def test_the_web_ui_offers_the_users_and_a_quick_start(server: Server, command: list[str]) -> None:
    """The commands are the tutorial's; `make load` runs the first."""
    port = free_port()
    words = [server.url if word == "URL" else word for word in command]
    with subprocess.Popen([*words, "--web-port", str(port)], cwd=PROJECT, stderr=subprocess.DEVNULL) as locust:
        try:
            page = fetched(f"http://127.0.0.1:{port}/")
        finally:
            locust.terminate()
    assert '"show_userclass_picker": true' in page
    assert '"available_user_classes": ["ApplicantUser", "CreditRiskTestUser"]' in page
    assert '"num_users": 100' in page
    assert '"spawn_rate": 20' in page


def fetched(url: str, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                page: str = answer.read().decode()
                return page
        except OSError:
            time.sleep(0.1)
    raise AssertionError("locust's web UI does not answer")


class Undecided(BaseHTTPRequestHandler):
    """A service that answers 200 to anything, and decides nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_an_applicant_notices_a_wrong_answer() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Undecided) as wrong:
        threading.Thread(target=wrong.serve_forever, daemon=True).start()
        command = [LOCUST, "--headless", "--host", f"http://127.0.0.1:{wrong.server_port}", "--users", "2"]
        command += ["--run-time", "10s", "--only-summary", "ApplicantUser"]
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        wrong.shutdown()
    assert run.returncode == 1
    assert "the answer has no Status" in run.stdout + run.stderr
