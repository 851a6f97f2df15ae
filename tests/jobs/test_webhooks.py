"""Messages sent to real receivers, over real connections, in all the ways in which receivers fail."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from ipaddress import ip_network

import pytest
from standardwebhooks.webhooks import Webhook

from credit_risk import __version__
from credit_risk.jobs.addresses import Places
from credit_risk.jobs.attempt import PERIOD, Attempt, next_attempt
from credit_risk.jobs.signature import Secret
from credit_risk.jobs.webhooks import message, send
from tests.e2e.conftest import free_port
from tests.jobs.names import Names
from tests.jobs.receiver import Receiver, Request, Step, answer, endless, raw, receiving, reset, silence

WRITTEN = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
SECRET = Secret.parse(WRITTEN)
LOOPBACK: Places = (ip_network("127.0.0.0/8"),)
BODY = message("job.succeeded", 1_800_000_000.25, {"id": "01", "name": "Zoë"})
SHORT = 0.5  # seconds, where the receiver is expected not to answer
OK = answer(204)


async def post(url: str, *, allowed: Places = LOOPBACK, timeout: float = 15) -> Attempt:
    return await send(url, SECRET, "msg_1", BODY, allowed, timeout=timeout)


def meeting(*script: Step, timeout: float = 15) -> tuple[Attempt, Receiver]:
    """Send once to a receiver."""

    async def run() -> tuple[Attempt, Receiver]:
        async with receiving(*script) as receiver:
            return await post(receiver.url(), timeout=timeout), receiver

    return asyncio.run(run())


def verified(request: Request) -> object:
    return Webhook(WRITTEN).verify(request.body, request.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_what_is_delivered_is_signed_for_the_reference_library(status: int) -> None:
    before = time.time()
    attempt, receiver = meeting(answer(status, "Retry-After: 5\r\n"))
    assert attempt.model_dump(exclude={"time", "seconds"}) == {
        "status": status,
        "fault": None,
        "final": True,
        "retry_after": None,
    }
    assert before <= attempt.time <= time.time()
    assert next_attempt([attempt]) is None
    [request] = receiver.requests
    assert verified(request) == {
        "type": "job.succeeded",
        "timestamp": "2027-01-15T08:00:00.250+00:00",
        "data": {"id": "01", "name": "Zoë"},
    }
    assert request.line == "POST /hook HTTP/1.1"
    assert {name: request.headers[name] for name in ("webhook-id", "content-type", "user-agent", "host")} == {
        "webhook-id": "msg_1",
        "content-type": "application/json",
        "user-agent": f"credit-risk/{__version__}",
        "host": f"127.0.0.1:{receiver.port}",
    }


def test_a_receiver_that_is_down_for_a_while_gets_the_same_message_later() -> None:
    async def run() -> tuple[list[Attempt], list[Request]]:
        port = free_port()
        url = f"http://127.0.0.1:{port}/hook"
        attempts = [await post(url), await post(url)]
        async with receiving(answer(503, "Retry-After: 600\r\n"), reset, OK, port=port) as receiver:
            while next_attempt(attempts) is not None:
                attempts.append(await post(url))
        return attempts, receiver.requests

    attempts, requests = asyncio.run(run())
    assert [(attempt.status, attempt.fault, attempt.retry_after) for attempt in attempts] == [
        (None, "The receiver can't be reached: Connection refused", None),
        (None, "The receiver can't be reached: Connection refused", None),
        (503, "The receiver failed or refused (status 503)", 600),
        (None, "The receiver broke the connection", None),
        (204, None, None),
    ]
    for request in requests:
        assert verified(request) == json.loads(BODY)
    assert {(request.headers["webhook-id"], request.body) for request in requests} == {("msg_1", BODY)}


def test_a_receiver_that_has_gone_ends_it() -> None:
    attempt, _ = meeting(answer(410))
    assert (attempt.status, attempt.fault) == (410, "The receiver wants no more messages (status 410)")
    assert next_attempt([attempt]) is None


@pytest.mark.parametrize("status", [304, 400, 401, 404, 429, 500, 503, 599])
def test_all_other_answers_are_followed_by_another_attempt(status: int) -> None:
    attempt, _ = meeting(answer(status))
    assert (attempt.status, attempt.final) == (status, False)
    assert attempt.fault is not None
    assert next_attempt([attempt]) is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inside_is_not_followed(status: int) -> None:
    async def run() -> tuple[Attempt, Receiver]:
        async with (
            receiving(OK) as inside,
            receiving(answer(status, f"Location: {inside.url()}\r\n")) as receiver,
        ):
            return await post(receiver.url()), inside

    attempt, inside = asyncio.run(run())
    assert attempt.fault == f"The receiver redirects, which is not followed (status {status})"
    assert not attempt.final
    assert inside.connections == 0


@pytest.mark.parametrize(
    "step",
    [
        silence,
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"a", pause=0.01),
        endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", pause=0.01),
    ],
    ids=["hanging", "slow head", "never final"],
)
def test_a_receiver_that_does_not_come_to_an_answer_is_given_up(step: Step) -> None:
    attempt, receiver = meeting(step, timeout=SHORT)
    assert attempt.fault == "The receiver did not answer within 0.5 seconds"
    assert not attempt.final
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("more", ["", "Content-Encoding: gzip\r\n"])
@pytest.mark.parametrize("pause", [0, 0.01], ids=["huge", "slow"])
def test_the_status_counts_however_much_comes_after_it(pause: float, more: str) -> None:
    start = f"HTTP/1.1 200 OK\r\n{more}Content-Length: 1000000000000\r\n\r\n"
    attempt, _ = meeting(endless(start.encode(), b"a" * 2**16, pause=pause))
    assert (attempt.status, attempt.fault) == (200, None)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (reset, "The receiver broke the connection"),
        (raw(b""), "The receiver broke the connection"),
        (raw(b"HTTP/1.1 200 O"), "The receiver broke the connection"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "The receiver answered with something else than HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n"), "The receiver answered with something else than HTTP"),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 1000), "The receiver answered with something else than HTTP"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n" * 100), "The receiver answered with something else than HTTP"),
    ],
    ids=["reset", "empty", "cut off", "another protocol", "a zero byte", "a huge field", "endless fields"],
)
def test_what_is_no_answer_is_said_in_words(step: Step, fault: str) -> None:
    attempt, _ = meeting(step)
    assert (attempt.status, attempt.fault, attempt.final) == (None, fault, False)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("120", 120),
        ("0", 0),
        ("99999999999999999999", PERIOD),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", PERIOD),
        ("-5", None),
        ("soon", None),
        ("Fri, 99 Foo 0000 99:99:99 +9999", None),
        ("\u0662", None),
        ("", None),
    ],
)
def test_a_receiver_may_ask_to_wait(asked: str, waits: float | None) -> None:
    attempt, _ = meeting(answer(503, f"Retry-After: {asked}\r\n"))
    assert attempt.retry_after == waits


def test_a_receiver_may_name_the_time() -> None:
    attempt, _ = meeting(answer(429, f"Retry-After: {formatdate(time.time() + 3600, usegmt=True)}\r\n"))
    assert attempt.retry_after is not None
    assert 0 < attempt.retry_after <= 3600


def refused(send_to: Callable[[Receiver], Awaitable[Attempt]]) -> Attempt:
    """Send where a receiver would answer, which nothing reaches."""

    async def run() -> Attempt:
        async with receiving(OK) as receiver:
            attempt = await send_to(receiver)
            assert receiver.connections == 0
            return attempt

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]"])
def test_an_inside_address_gets_nothing_and_is_not_tried_again(host: str) -> None:
    attempt = refused(lambda receiver: post(receiver.url(host, "https"), allowed=()))
    assert (attempt.fault, attempt.final) == ("The callback URL leads to an inside address", True)
    attempt = refused(lambda receiver: post(receiver.url("127.1"), allowed=LOOPBACK))
    assert attempt.final


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_inside_gets_nothing(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, addresses)
    attempt = refused(lambda receiver: post(receiver.url("hooks.example.com", "https"), allowed=()))
    assert (attempt.fault, attempt.final) == ("The callback URL leads to an inside address", False)
    assert names.asked == ["hooks.example.com"]


def test_http_goes_nowhere_but_where_the_setting_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["8.8.8.8"])
    attempt = refused(lambda receiver: post(receiver.url("hooks.example.com")))
    assert attempt.fault == "The callback URL must begin with https://"


def test_a_name_without_an_address_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, [])
    attempt = refused(lambda receiver: post(receiver.url("hooks.example.com", "https")))
    assert (attempt.fault, attempt.final) == ("The name of the receiver's host has no address", False)


def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        found.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def run() -> Attempt:
        attempt = await post("https://hooks.example.com/", timeout=SHORT)
        found.set()
        return attempt

    assert asyncio.run(run()).fault == "The receiver did not answer within 0.5 seconds"


def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[Attempt]:
        Names(monkeypatch, ["::1", "127.0.0.1"])
        allowed = (*LOOPBACK, ip_network("::1"))
        async with receiving(OK) as receiver:  # on 127.0.0.1 alone
            up = await post(receiver.url("receiver"), allowed=allowed)
        return [up, await post(receiver.url("receiver"), allowed=allowed)]

    up, down = asyncio.run(run())
    assert up.status == 204
    assert down.fault == "The receiver can't be reached: Connection refused"


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])  # the name leads elsewhere after the check

    async def run() -> tuple[Attempt, Receiver]:
        async with receiving(OK) as receiver:
            return await post(receiver.url("hooks.example.com")), receiver

    attempt, receiver = asyncio.run(run())
    assert attempt.status == 204
    assert names.asked == ["hooks.example.com"]
    assert receiver.requests[0].headers["host"] == f"hooks.example.com:{receiver.port}"


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[Attempt, Receiver]:
        async with receiving(OK) as proxy, receiving(OK) as receiver:
            monkeypatch.setenv("http_proxy", proxy.url())
            return await post(receiver.url()), proxy

    attempt, proxy = asyncio.run(run())
    assert (attempt.status, proxy.connections) == (204, 0)
