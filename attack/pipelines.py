"""Requests sent one after the other without waiting, and answers that nobody reads, or only slowly."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from attack.application import BATCH, GOOD
from attack.ground import STATUS, Ground

UNREAD = 20
MOST_SENT = 64 * 2**20  # bytes of requests whose answers nobody reads: no buffer on the way holds as much
TINY = 5000
TINY_CONNECTIONS = 10
UPGRADES = 2000
SLOW = 24
SIP = 256  # bytes
ANSWERED = (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


async def unread_answers(ground: Ground) -> None:
    """20 connections send requests on and on and read no answer."""
    pieces = [ground.request("/classify", GOOD) * 20, ground.request("/openapi.json") * 50, ground.request("/") * 50]
    sent = [0] * UNREAD

    async def one(number: int) -> None:
        piece = pieces[number % len(pieces)]
        async with ground.open() as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while sent[number] < MOST_SENT and ground.goes_on():
                async with asyncio.timeout(max(0.01, ground.left())):
                    await connection.send(piece)
                sent[number] += len(piece)

    async def until_over(number: int) -> None:
        try:
            await one(number)
        except TimeoutError:
            return

    await ground.at_once(UNREAD, until_over)
    ground.figures |= {"most taken, MB": round(max(sent) / 1e6, 1)}
    ground.check(max(sent) < MOST_SENT, "took 64 MB of requests from a caller that read no answer")


async def tiny_requests(ground: Ground) -> None:
    """5,000 tiny requests in one segment, over 10 connections at once."""
    tiny = b"GET /livez HTTP/1.1\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"

    async def one(_: int) -> None:
        async with ground.open() as connection:
            connection.write(tiny * TINY, last)
            answers = STATUS.findall(await connection.rest_until_quiet())
            ground.check(len(answers) == TINY + 1, f"answered {len(answers)} of {TINY + 1} requests of one segment")

    while ground.goes_on():
        await ground.at_once(TINY_CONNECTIONS, one)
    ground.allow(*ANSWERED)


async def offered_upgrades(ground: Ground) -> None:
    """2,000 requests that offer an upgrade, in the same segment as the end of a body."""
    head = ground.head("POST", "/classify", f"Content-Length: {len(GOOD)}") + b"\r\n"
    offer = b"GET /livez HTTP/1.1\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"

    async def one(_: int) -> None:
        async with ground.open() as connection:
            await connection.send(head, GOOD[:-1])
            await asyncio.sleep(0.1)  # so that the body's end comes in the segment of what follows
            connection.write(GOOD[-1:], offer * UPGRADES, last)
            answers = STATUS.findall(await connection.rest_until_quiet())
            ground.check(len(answers) == UPGRADES + 2, f"answered {len(answers)} of {UPGRADES + 2}, and hung up")

    while ground.goes_on():
        await ground.at_once(4, one)
    ground.allow(*ANSWERED)


async def slow_readers(ground: Ground) -> None:
    """24 connections read answers of megabytes a few bytes at a time."""
    request = ground.request("/classify_batch", BATCH)

    async def one(_: int) -> None:
        async with ground.open() as connection:
            await connection.send(request)
            while ground.goes_on():
                async with asyncio.timeout(ground.left()):
                    if not await connection.reader.read(SIP):
                        return
                await ground.pause(0.1)

    async def until_over(number: int) -> None:
        try:
            await one(number)
        except TimeoutError:
            return

    ended = await ground.at_once(SLOW, until_over)
    ground.figures |= {"ended by the service": ended}
