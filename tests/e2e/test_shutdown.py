from __future__ import annotations

import http.client
import signal
import time
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.callers import callers
from tests.e2e.conftest import serving, workers_of


@pytest.mark.parametrize("fast_path", ["true", "false"])
def test_whatever_was_accepted_before_sigterm_is_answered(fast_path: str) -> None:
    with serving(CREDIT_RISK_FAST_PATH=fast_path) as server, callers(server.url, kept_alive=8, anew=4) as outcomes:
        assert workers_of(server, 2) == 2
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        results = outcomes()
        assert server.process.wait(20) == 0
    assert [fault for _, faults in results for fault in faults] == []
    assert all(answered for answered, _ in results)


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
        worker.terminate()  # once more, where BentoML's parent does not pass it on: at once
        assert server.process.wait(20) == 0
