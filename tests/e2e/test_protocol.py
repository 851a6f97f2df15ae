"""HTTP as it is spoken by callers who mean well, and by those who do not."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from credit_risk.serving.bento.bounds import MOST_HEAD, MOST_HEADERS
from tests.corpus import BAD, GOOD, SAMPLE
from tests.e2e.conftest import Server, serving
from tests.e2e.test_batching import all_of

BODY = json.dumps(SAMPLE).encode()
BODIES = GOOD | {name: bad.body for name, bad in BAD.items() if len(bad.body) < 64 * 1024}
HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(BODY)
REQUEST = HEAD + b"\r\n" + BODY
CHUNKED = b"POST /classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)  # without the trailers and the end
# What Java's HttpClient sends by default, and curl with --http2.
H2C = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def talk(server: Server, *parts: bytes) -> bytes:
    """Everything that the server says to these parts until it ends the connection, which is asked for after them."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02)
        return b"".join(iter(lambda: connection.recv(65536), b""))


LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + H2C + b"\r\n" + BODY,),
        (HEAD + H2C + b"\r\n", BODY[:50], BODY[50:]),
        (CHUNKED + H2C + b"\r\n" + CHUNKS + b"\r\n",),
        (HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + BODY,),
    ],
    ids=["h2c", "h2c in parts", "h2c in chunks", "websocket"],
)
def test_who_offers_an_upgrade_gets_a_decision_and_may_ask_again(server: Server, parts: tuple[bytes, ...]) -> None:
    answers = talk(server, *parts, REQUEST, LAST)
    assert statuses(answers) == [200, 200, 200]
    assert answers.count(b"decision_id") == 2


def test_an_upgrade_without_a_body_is_ignored(server: Server) -> None:
    assert statuses(talk(server, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + H2C + b"\r\n" + REQUEST + LAST)) == [200] * 3


def test_a_trailer_is_no_header(server: Server) -> None:
    answers = talk(server, CHUNKED + b"\r\n" + CHUNKS + b"X-Request-Id: from-a-trailer\r\n\r\n", LAST)
    assert statuses(answers) == [200, 200]
    assert b"from-a-trailer" not in answers


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"a" * 2 * MOST_HEAD + b"\r\n\r\n",
        b"GET /" + b"a" * 2 * MOST_HEAD + b" HTTP/1.1\r\n\r\n",
        HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(MOST_HEADERS)) + b"\r\n",
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * (MOST_HEADERS + 1) + b"\r\n") * 2,
    ],
    ids=["long header", "long path", "many headers", "many headers twice"],
)
def test_a_head_that_is_too_large_is_refused(server: Server, head: bytes) -> None:
    answers = talk(server, REQUEST + head + BODY)
    assert statuses(answers) == [200, 431]
    assert b"connection: close" in answers
    assert b"Send at most 16384 bytes and 100 fields in the head of a request" in answers


def test_a_large_head_is_read(server: Server) -> None:
    headers = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 150) for number in range(MOST_HEADERS - 10))
    assert statuses(talk(server, HEAD + headers + b"\r\n" + BODY, LAST)) == [200, 200]


def test_a_head_without_an_end_is_not_kept(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 2**30:
                sent += connection.send(b"X-A: " + b"0" * 8000 + b"\r\n")
        except OSError:
            pass
    assert sent < 2**26


GARBAGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half a request line": b"GET\r\n\r\n",
    "half a body": CHUNKED + b'\r\n5\r\n{"inc\r\nno length\r\n',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_http_is_told_so_after_what_was_asked_before(server: Server, garbage: bytes) -> None:
    answers = talk(server, REQUEST + REQUEST + garbage)
    assert statuses(answers) == [200, 200, 400]
    assert b'{"error":"Send a well-formed HTTP/1.1 request","detail":[]}' in answers


def test_many_requests_at_once_are_answered_in_order(server: Server) -> None:
    requests = [b"X-Request-Id: n%d\r\n" % number for number in range(100)]
    answers = talk(server, b"".join(HEAD + request + b"\r\n" + BODY for request in requests) + LAST)
    assert statuses(answers) == [200] * 101
    assert re.findall(rb"x-request-id: n(\d+)", answers) == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("path", ["/classify", "/classify_batch", "/livez"])
def test_an_answer_to_what_is_too_large_reaches_who_sends_on(server: Server, path: str) -> None:
    """The rest of the body is read and thrown away: bytes left unread would reset the connection."""
    length = 12 * 2**20
    answers = talk(
        server, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), length), b"x" * length
    )
    assert statuses(answers) == [413]
    assert b"connection: close" in answers


def test_requests_that_offer_upgrades_may_be_pipelined(server: Server) -> None:
    """In one segment, behind the last byte of a body, of which large pieces are parsed at once."""
    upgrade = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(REQUEST[:-1])
        time.sleep(0.1)
        connection.sendall(REQUEST[-1:] + upgrade * 2000 + LAST)
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert statuses(answers) == [200] * 2002


def test_an_upgrade_with_a_body_that_is_framed_in_an_unknown_way_is_refused(server: Server) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n"
    assert statuses(talk(server, head + H2C + b"\r\n" + BODY)) == [400]


def test_a_length_may_have_zeros_in_front(server: Server) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %b%d\r\n\r\n" % (b"0" * 5000, len(BODY))
    assert statuses(talk(server, head + BODY, LAST)) == [200, 200]


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"1;"], ids=["trailer", "extension of a chunk"])
def test_what_frames_a_body_has_an_end(server: Server, endless: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(CHUNKED + b"\r\n" + endless)
        sent = 0
        try:
            while sent < 2**28:
                sent += connection.send(b"x" * 65536)
        except OSError:
            pass
    assert sent < 2**26


def test_a_slash_at_the_end_is_another_path(server: Server) -> None:
    answers = talk(server, REQUEST.replace(b"/classify", b"/classify/") + LAST)
    assert statuses(answers) == [404, 200]
    assert b"location" not in answers


@pytest.fixture(scope="module")
def impatient() -> Iterator[list[tuple[bytes, float]]]:
    """What never ends, and how long the server waited, all at once on one server."""
    unending = [
        HEAD,
        HEAD + b"\r\n",
        HEAD + b"\r\n" + BODY[:10],
        CHUNKED + b"\r\n5\r\n{",
        HEAD.replace(b"/classify", b"/classify_batch") + b"\r\n[",
        HEAD.replace(b"POST /classify", b"GET /livez") + b"\r\n",
        b"",
    ]
    with serving("--production", CREDIT_RISK_WORKERS="1") as server, ThreadPoolExecutor(len(unending)) as pool:

        def wait(part: bytes) -> tuple[bytes, float]:
            begun = time.monotonic()
            return talk(server, part), time.monotonic() - begun

        yield list(pool.map(wait, unending))
        assert "Traceback" not in server.log.read_text()


def test_what_does_not_end_is_ended(impatient: list[tuple[bytes, float]]) -> None:
    *begun, silent = impatient
    assert [statuses(answer) for answer, _ in begun] == [[408]] * 6
    for answer, seconds in begun:
        assert b"Send the whole request within 10 seconds" in answer
        assert seconds >= 10
    assert silent[0] == b""


def test_idle_connections_shut_nobody_out() -> None:
    with (
        serving("--production", CREDIT_RISK_MAX_CONNECTIONS="20", CREDIT_RISK_WORKERS="1") as server,
        ExitStack() as open_,
    ):
        for _ in range(100):
            open_.enter_context(connect(server)).sendall(b"GET /livez HTT")
        assert statuses(talk(server, REQUEST + LAST)) == [200, 200]


def test_only_paths_that_there_are_become_labels(server: Server) -> None:
    before = all_of(server, "credit_risk_requests_total", 'route="other",status="404"')
    for number in range(50):
        talk(server, b"GET /nowhere/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % number)
    assert all_of(server, "credit_risk_requests_total", 'route="other",status="404"') == before + 50
    metrics: Any = talk(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"nowhere" not in metrics
    assert b'endpoint="/livez"' in metrics


@pytest.mark.parametrize("name", BODIES)
def test_the_direct_path_and_the_fast_path_say_the_same(server: Server, name: str) -> None:
    """A page of another origin is answered on the fast path; nothing else tells the two apart."""
    body = BODIES[name]
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nX-Request-Id: same\r\nContent-Length: %d\r\n" % len(body)
    direct, fast = (
        talk(server, head + more + b"\r\n" + body, LAST) for more in (b"", b"Origin: https://x.example\r\n")
    )
    assert without_what_changes(direct) == without_what_changes(fast)
    assert b"decision_id" in direct if name in GOOD else b"400 Bad Request" in direct


def without_what_changes(answers: bytes) -> bytes:
    return re.sub(rb"date: [^\r]*|[0-9a-f]{8}-[0-9a-f-]{27}", b"", answers)
