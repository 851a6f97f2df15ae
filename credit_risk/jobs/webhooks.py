"""Sends a signed message to a receiver that a caller has named, as Standard Webhooks wants it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic_core import to_json

from credit_risk import __version__
from credit_risk.jobs.addresses import Callback, Ip, Places, RefusedError, UnresolvedError, resolve
from credit_risk.jobs.attempt import PERIOD, Attempt
from credit_risk.jobs.signature import Secret

TIMEOUT = 15.0  # seconds, for all of an attempt


class _Answer(NamedTuple):
    status: int
    retry_after: float | None


def message(event: str, at: float, data: dict[str, Any]) -> bytes:
    """Make the body that tells of an event at a Unix time. Make it once: each attempt sends the same bytes."""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return to_json({"type": event, "timestamp": when, "data": data})


async def send(
    url: str, secret: Secret, message_id: str, body: bytes, allowed: Places = (), *, timeout: float = TIMEOUT
) -> Attempt:
    """Try once to deliver a message. Whatever happens is told by the attempt that is returned."""
    began, clock = time.time(), time.monotonic()

    def attempt(answer: _Answer | None = None, fault: str | None = None, *, final: bool = False) -> Attempt:
        return Attempt(
            time=began,
            seconds=round(time.monotonic() - clock, 3),
            status=answer.status if answer else None,
            fault=fault,
            final=final,
            retry_after=answer.retry_after if answer and fault else None,
        )

    try:
        callback = Callback.parse(url, allowed)
    except RefusedError as error:
        return attempt(fault=str(error), final=True)
    timestamp = int(began)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"credit-risk/{__version__}",
        "Accept-Encoding": "identity",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": secret.sign(message_id, timestamp, body),
    }
    try:
        async with asyncio.timeout(timeout):
            answer = await _post(callback, await resolve(callback, allowed), headers, body)
    except TimeoutError:
        return attempt(fault=f"The receiver did not answer within {timeout:g} seconds")
    except (RefusedError, UnresolvedError) as error:  # a name may lead elsewhere at the next attempt
        return attempt(fault=str(error))
    except aiohttp.ClientError as error:
        return attempt(fault=_in_words(error))
    if 200 <= answer.status < 300:
        return attempt(answer, final=True)
    if answer.status == HTTPStatus.GONE:
        return attempt(answer, "The receiver wants no more messages (status 410)", final=True)
    if 300 <= answer.status < 400:
        return attempt(answer, f"The receiver redirects, which is not followed (status {answer.status})")
    return attempt(answer, f"The receiver failed or refused (status {answer.status})")


class _Pinned(AbstractResolver):
    """Leads to the addresses that were checked. The name stays that of the URL, in TLS and in the Host header."""

    def __init__(self, addresses: Sequence[Ip]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the connector asks for any
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@cache
def authorities() -> ssl.SSLContext:
    """Load the authorities that the system trusts, once; SSL_CERT_FILE and SSL_CERT_DIR name others."""
    return ssl.create_default_context()


async def _post(callback: Callback, addresses: Sequence[Ip], headers: dict[str, str], body: bytes) -> _Answer:
    """Give the head of the answer. What comes after it is not waited for."""
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, ssl=authorities() if callback.tls else True
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session,
        session.post(callback.url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        return _Answer(response.status, _seconds(response.headers.get("Retry-After", "")))


def _seconds(retry_after: str) -> float | None:
    """Read Retry-After, which is seconds or a date."""
    if retry_after.isdecimal() and retry_after.isascii():
        seconds = float(retry_after[:9])
    else:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(0.0, seconds), PERIOD)


def _in_words(error: aiohttp.ClientError) -> str:
    """Say what went wrong. The error's own text could quote the URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as cause):
            return f"The receiver's certificate is not trusted: {cause.verify_message}"
        case aiohttp.ClientSSLError():
            return "The receiver does not speak TLS as it should"
        case aiohttp.ClientConnectorError():
            why = os.strerror(error.errno) if error.errno else "no connection"
            return f"The receiver can't be reached: {why}"
        case aiohttp.ClientConnectionError():
            return "The receiver broke the connection"
        case _:
            return "The receiver answered with something else than HTTP"
