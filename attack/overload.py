"""More than the service can answer, at a fixed rate, whether or not it keeps up (an open loop)."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from attack.application import GOOD
from attack.ground import Ground

CONNECTIONS = 64
TIMES = 4
MOST_RATE = 40_000  # requests a second
PROBE_SECONDS = 1.0
TICK_SECONDS = 0.01
REFUSED = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


async def overload(ground: Ground) -> None:
    """Four times the requests that the service can answer, at a fixed rate over 64 connections."""
    request = ground.request("/classify", GOOD)
    rate = min(MOST_RATE, TIMES * await _saturation(ground, request))
    ground.statuses.clear()
    sent = 0

    async def one(_: int) -> None:
        nonlocal sent
        async with ground.open() as connection:
            reading = asyncio.create_task(connection.rest(ground.seconds + 15))
            begun, mine = time.monotonic(), 0
            until = begun + ground.seconds
            while (now := time.monotonic()) < until and not reading.done():
                due = int((min(now, until) - begun) * rate / CONNECTIONS) - mine
                if due and connection.writer.transport.get_write_buffer_size() < 2**20:
                    connection.write(request * due)
                    mine += due
                await asyncio.sleep(TICK_SECONDS)
            sent += mine
            connection.write(ground.request("/livez", None, "Connection: close"))
            await reading

    ended = await ground.at_once(CONNECTIONS, one)
    refused = sum(ground.statuses[status] for status in REFUSED)
    ground.figures |= {"offered": sent, "a second": int(rate), "decided": ground.statuses[HTTPStatus.OK]}
    ground.figures |= {"refused": refused, "hung up on": ended}
    ground.allow(HTTPStatus.OK, *REFUSED)
    ground.check(ground.statuses[HTTPStatus.OK] > CONNECTIONS, "decided nothing")


async def _saturation(ground: Ground, request: bytes) -> float:
    """Measure how many requests a second are answered, one after the other over each connection."""
    answered = 0
    until = time.monotonic() + PROBE_SECONDS

    async def one(_: int) -> None:
        nonlocal answered
        async with ground.open() as connection:
            while time.monotonic() < until:
                await connection.send(request)
                await connection.answer()
                answered += 1

    await ground.at_once(CONNECTIONS, one)
    return answered / PROBE_SECONDS
