"""A real HTTP server that answers as a script says, and notes each request with its times."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DECISION = (
    b'{"Status":"DECLINED","probability_of_default":0.5506,"score":481,'
    b'"reasons":[{"code":"R05","text":"Adverse payment records"},{"code":"R01","text":"Length of employment"}],'
    b'"warnings":[{"code":"income_unverified","text":"income is null or 0"}],'
    b'"decision_id":"01a1f939-9556-7021-9edf-6a5007489b5f","model":"credit_risk_model:1","policy":"d217c98f5817"}'
)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b'{"error":"In other words","detail":[]}'
    headers: dict[str, str] = field(default_factory=dict)


class Reset:
    """The connection is reset once the request has been read."""


class Silence:
    """No answer comes."""


Step = Answer | Reset | Silence
DECIDED = Answer(200, DECISION)


@dataclass
class Attempt:
    arrived: float
    request_id: str
    content_type: str
    body: bytes
    answered: float = 0.0


@dataclass
class Scripted:
    url: str
    attempts: list[Attempt]


@contextmanager
def answering(*script: Step) -> Iterator[Scripted]:
    """Serve the steps of the script in turn, and the last one again for ever."""
    attempts: list[Attempt] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            arrived = time.monotonic()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            attempt = Attempt(arrived, self.headers["X-Request-Id"], self.headers["Content-Type"], body)
            attempts.append(attempt)
            assert self.path == "/classify"
            step = script[min(len(attempts), len(script)) - 1]
            attempt.answered = time.monotonic()
            if isinstance(step, Answer):
                self.send_response(step.status)
                for name, value in (step.headers | {"Content-Length": str(len(step.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(step.body)
                return
            if isinstance(step, Silence):
                over.wait()
            # Closed at once and with what is unsent dropped: the kernel sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the standard library
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_port}", attempts)
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
