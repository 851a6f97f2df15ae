"""Take the messages of the service, and act on those that are genuine: a receiver to copy. It needs Python alone.

    CREDIT_RISK_WEBHOOK_SECRET=whsec_... python receiver.py [port]

Two secrets, separated by a space, are both good while you change from one to the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 5 * 60  # seconds that a timestamp may differ from the clock here
REMEMBERED = 48 * 3600  # seconds; the service sends a message again for a day
MOST_BYTES = 1_000_000  # of a message


class RefusedError(Exception):
    """The message is not genuine, or too old."""


class Inbox:
    """Takes each genuine message once."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._taken: dict[str, float] = {}  # when, by id; keep this in your database, with what the messages change
        self._lock = threading.Lock()

    def take(self, headers: Mapping[str, str], body: bytes) -> None:
        """Act on a message, unless it has been here. Names of headers are in lower case. Raises RefusedError."""
        message_id = self._verify(headers, body)
        now = time.time()
        with self._lock:
            self._taken = {known: taken for known, taken in self._taken.items() if taken > now - REMEMBERED}
            if message_id in self._taken:
                # The service did not get the answer to the first. Say that all is well, or it would go on sending.
                print(f"{message_id} again", file=sys.stderr, flush=True)
                return
            act_on(json.loads(body))
            self._taken[message_id] = now  # after the act: if that fails, the service sends the message again

    def _verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """Give the id of a genuine message."""
        try:
            message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
            sent = [signature.encode() for signature in headers["webhook-signature"].split()]
        except KeyError:
            raise RefusedError("Send webhook-id, webhook-timestamp and webhook-signature") from None
        content = f"{message_id}.{timestamp}.".encode() + body  # the body as it came: JSON written anew may differ
        digests = [hmac.digest(key, content, hashlib.sha256) for key in self._keys]
        expected = [b"v1," + base64.b64encode(digest) for digest in digests]
        # compare_digest takes as long for a wrong start as for a wrong end, and so does not help to guess.
        if not any(hmac.compare_digest(one, other) for one in expected for other in sent):
            raise RefusedError("The signature is wrong")
        # Only now, because before the signature nothing is known to be the service's.
        if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
            raise RefusedError("The timestamp is too far from now")
        return message_id


def act_on(event: dict[str, object]) -> None:
    """Do what is to be done. Be quick: the service waits 15 seconds. What takes longer belongs into a queue."""
    print(event["type"], json.dumps(event["data"], ensure_ascii=False), flush=True)


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds that a connection may idle
    inbox: Inbox

    def do_POST(self) -> None:
        length = self.headers["Content-Length"] or ""
        if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES:
            self._answer(413, f"Send at most {MOST_BYTES} bytes, and say how many")
            return
        try:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.inbox.take(headers, self.rfile.read(int(length)))
        except RefusedError as error:
            self._answer(401, str(error))
        except Exception:  # the service sends the message again
            self._answer(500, "The receiver failed")
            raise
        else:
            self._answer(204)

    def _answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        if text:
            print(f"{status}: {text}", file=sys.stderr, flush=True)
            self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the standard library
        """Print nothing more."""


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def main() -> int:
    try:
        keys = [key_of(secret) for secret in os.environ["CREDIT_RISK_WEBHOOK_SECRET"].split()]
    except (KeyError, ValueError):
        keys = []
    if not keys:
        print("Set CREDIT_RISK_WEBHOOK_SECRET to the secret that the service has for you.", file=sys.stderr)
        return 1
    Handler.inbox = Inbox(keys)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"Receiving on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
