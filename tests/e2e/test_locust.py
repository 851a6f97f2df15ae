"""The load-test users, headless against the real server; and the tutorial's locustfile as it is printed there."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conftest import PROJECT
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server

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
    command = [LOCUST, "--headless", "--host", server.url, "--users", "10", "--spawn-rate", "10", "--run-time", "5s"]
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
        command += ["--run-time", "2s", "--only-summary", "ApplicantUser"]
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        wrong.shutdown()
    assert run.returncode == 1
    assert "the answer has no Status" in run.stdout + run.stderr
