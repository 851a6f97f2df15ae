"""Heads that never end, are too large, or come too slowly; and connections over which nothing comes."""

from __future__ import annotations

from http import HTTPStatus

from attack.ground import Ground

ENDLESS = 50
MOST_ACCEPTED = 64 * 2**20  # bytes of one head: far beyond what buffers on the way hold
SLOW = 2000
IDLE = 3000
MANY = 10_000
END_SECONDS = 2.0  # between the service's last word and its end


async def endless_heads(ground: Ground) -> None:
    """50 connections send a head that has no end."""
    accepted = [0] * ENDLESS

    async def one(number: int) -> None:
        line = b"X-A: " + b"0" * 8000 + b"\r\n" if number % 2 else b"0" * 8000
        async with ground.open() as connection:
            connection.write(ground.head("GET", "/livez", "X-B: ")[:-2])
            while accepted[number] < MOST_ACCEPTED and ground.goes_on():
                await connection.send(line)
                accepted[number] += len(line)
            await connection.rest(END_SECONDS)

    ended = 0
    while ground.goes_on():
        accepted[:] = [0] * ENDLESS
        ended += await ground.at_once(ENDLESS, one)
        ground.check(max(accepted) < MOST_ACCEPTED, "took 64 MB of one head")
    ground.figures |= {"ended by the service": ended}
    ground.allow(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)


async def many_headers(ground: Ground) -> None:
    """10,000 headers in a head, small ones and one that is longer than any that is read."""
    heads = [
        ground.head("GET", "/livez", *(f"X-{number}: 1" for number in range(MANY))) + b"\r\n",
        ground.head("GET", "/livez", *["X: "] * MANY) + b"\r\n",
        ground.head("GET", "/livez", "X: " + "a" * 10 * MANY) + b"\r\n",
        ground.head("GET", "/" + "a" * 10 * MANY) + b"\r\n",
    ]

    async def one(number: int) -> None:
        async with ground.open() as connection:
            await connection.send(heads[number % len(heads)])
            await connection.rest(END_SECONDS)

    while ground.goes_on():
        await ground.at_once(40, one)
    ground.allow(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    ground.check(bool(ground.statuses), "never said that the head is too large")


async def slow_heads(ground: Ground) -> None:
    """2,000 connections send a head a byte at a time (slowloris)."""
    head = ground.head("GET", "/livez")

    async def one(number: int) -> None:
        async with ground.open() as connection:
            await connection.drip(head, 0.5 + number / SLOW)

    ended = await ground.at_once(SLOW, one)
    ground.figures |= {"connections": SLOW, "ended by the service": ended}
    ground.allow(HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)


async def idle(ground: Ground) -> None:
    """3,000 connections over which nothing comes."""

    async def one(number: int) -> None:
        async with ground.open() as connection:
            if number % 2:
                await connection.send(ground.request("/livez"))
                await connection.answer()
            await connection.rest(ground.left())

    await ground.at_once(IDLE, one)
    ground.figures |= {"connections": IDLE}
    ground.allow(HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
