"""A service that gives way, on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attack.target import Target


class Weak(BaseHTTPRequestHandler):
    """Is alive, decides each application in the same way, and fails at batches."""

    protocol_version = "HTTP/1.1"
    requests_of_a_connection = 1_000_000

    def setup(self) -> None:
        super().setup()
        self.asked = 0

    def do_GET(self) -> None:
        self.answer(200, b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/classify":
            self.answer(200, b'{"Status": "APPROVED", "probability_of_default": 0.1}')
        else:
            self.answer(500, b"{}")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.asked += 1
        if self.asked == self.requests_of_a_connection:
            self.close_connection = True  # without a word, as servers do when a connection has idled

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be silent."""


@contextmanager
def weak_service(handler: type[BaseHTTPRequestHandler] = Weak) -> Iterator[Target]:
    """The service in a thread of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Target("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
