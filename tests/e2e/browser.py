"""Chromium without a window, told what to do over its DevTools protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websocket import WebSocket, create_connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 30.0


class Browser:
    """One tab."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._calls = 0
        self.complaints: list[str] = []  # of the console: what a policy forbids, and uncaught errors
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv())).get("id") != self._calls:
            self._note(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def open(self, url: str) -> None:
        """Go to a page. `wait_for` tells when it is there."""
        self.complaints.clear()
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, and wait for it if it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """Evaluate an expression until it is true."""
        deadline = time.monotonic() + SECONDS
        while not (value := self.run(condition)):
            assert time.monotonic() < deadline, f"{condition} did not come true; {self.complaints}"
            time.sleep(0.05)
        return value

    def _note(self, event: dict[str, Any]) -> None:
        if event["method"] == "Log.entryAdded" and event["params"]["entry"]["source"] == "security":
            self.complaints.append(event["params"]["entry"]["text"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A new browser with its profile in this folder. Skips the test if there is none on this machine."""
    if CHROMIUM is None:
        pytest.skip("chromium can't be found; apt-get install chromium brings it")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen([CHROMIUM, *options, f"--user-data-dir={folder}"], stdout=log, stderr=log)
    try:
        port = _port(folder / "DevToolsActivePort")
        new_tab = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(new_tab, timeout=SECONDS) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        with closing(create_connection(address, timeout=SECONDS, suppress_origin=True)) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(SECONDS)


def _port(file: Path) -> int:
    deadline = time.monotonic() + SECONDS
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline, "chromium did not start"
        time.sleep(0.05)
    return int(file.read_text().splitlines()[0])
