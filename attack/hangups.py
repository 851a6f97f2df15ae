"""Kept-alive connections that hang up in the middle of everything."""

from __future__ import annotations

from attack.application import BATCH, GOOD
from attack.ground import Ground

CONNECTIONS = 50


async def hangups(ground: Ground) -> None:
    """50 connections at a time hang up in a head, a body, a batch, before an answer, in one, and between two."""
    single = ground.request("/classify", GOOD)
    batch = ground.request("/classify_batch", BATCH)
    chunked = ground.head("POST", "/classify", "Transfer-Encoding: chunked") + b"\r\n5\r\n{"
    hung_up = 0

    async def one(number: int) -> None:
        nonlocal hung_up
        async with ground.open() as connection:
            await connection.send(single)
            await connection.answer()
            match number % 8:
                case 0:
                    await connection.send(single[: ground.rng.randrange(1, 40)])
                case 1:
                    await connection.send(single[:-1])
                case 2:
                    await connection.send(batch[: len(batch) // 2])
                case 3:
                    await connection.send(single)
                case 4:
                    await connection.send(single * 100)
                    await connection.reader.read(100)
                case 5:
                    await connection.send(chunked)
                case 6:
                    await connection.send(batch)
                case _:
                    pass
            await ground.pause(ground.rng.random() / 20)
        hung_up += 1

    while ground.goes_on():
        await ground.at_once(CONNECTIONS, one)
    ground.figures |= {"hung up": hung_up}
