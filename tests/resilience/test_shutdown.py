from __future__ import annotations

import http.client
import signal
import time
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.conftest import serving
from tests.e2e.mishaps import under_load


@pytest.mark.parametrize("fast_path", ["true", "false"])
def test_whatever_was_accepted_before_sigterm_is_answered(fast_path: str) -> None:
    with serving(CREDIT_RISK_FAST_PATH=fast_path) as server, under_load(server) as account:
        server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert account.faults == []


def test_while_draining_it_is_not_ready_and_says_goodbye_to_each_caller() -> None:
    with serving(CREDIT_RISK_WORKERS="1", CREDIT_RISK_DRAIN_SECONDS="60") as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        connection.request("GET", "/readyz")
        while (answer := connection.getresponse()).status == 200 and time.monotonic() < deadline:
            answer.read()
            time.sleep(0.05)
            connection.request("GET", "/readyz")
        answer.read()
        connection.request("GET", "/readyz")  # the one before may have begun before the drain did
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 503
        assert answer.headers["Connection"] == "close"
        connection.close()
        [worker] = psutil.Process(server.process.pid).children()
        worker.terminate()  # once more, as who signals a whole group of processes does: it goes on draining
        connection.connect()
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
        worker.send_signal(signal.SIGINT)  # at once
        assert server.process.wait(20) == 0
