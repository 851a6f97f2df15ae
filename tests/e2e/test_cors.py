"""A page of another origin, in a real browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.corpus import SAMPLE
from tests.e2e.browser import Browser, browsing
from tests.e2e.conftest import Server, serving


class Page(BaseHTTPRequestHandler):
    """An empty page of some other application."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


def ask(browser: Browser, server: Server) -> str:
    """Ask for a decision from a page, and give the status and the request's id as the page sees them."""
    headers = {"authorization": "Bearer token", "content-type": "application/json", "x-request-id": "from-a-page"}
    request = json.dumps({"method": "POST", "headers": headers, "body": json.dumps(SAMPLE)})
    show = "answer => `${answer.status} ${answer.headers.get('x-request-id')}`"
    asked = f"fetch('{server.url}/classify', {request}).then({show}, error => error.name)"
    return str(browser.run(asked))


def test_only_a_page_of_a_named_origin_may_ask(server: Server, origin: str, tmp_path: Path) -> None:
    origins, keys = json.dumps([origin]), json.dumps({"page": sha256(b"token").hexdigest()})
    with (
        serving(CREDIT_RISK_CORS_ORIGINS=origins, CREDIT_RISK_API_KEYS=keys, CREDIT_RISK_WORKERS="1") as open_to_it,
        browsing(tmp_path) as browser,
    ):
        browser.open(origin)
        browser.wait_for(f"location.origin == '{origin}' && document.readyState == 'complete'")
        assert ask(browser, open_to_it) == "200 from-a-page"
        assert ask(browser, server) == "TypeError"  # the browser's name for what CORS forbids
