"""Paths that there are not, which must not pile up in the metrics."""

from __future__ import annotations

from http import HTTPStatus

from attack.application import MARKER
from attack.ground import Ground

PATHS = 3000
LONG = 8000
CONNECTIONS = 10
MOST_GROWTH = 64 * 1024  # bytes of /metrics


async def unknown_paths(ground: Ground) -> None:
    """3,000 paths that there are not, some of them long, and what becomes of /metrics."""
    before = await ground.once(ground.request("/metrics"))

    async def one(first: int) -> None:
        async with ground.open() as connection:
            for number in range(first, PATHS, CONNECTIONS):
                tail = "a" * LONG if number % 10 == 0 else "%7d%00"
                await connection.send(ground.request(f"/{MARKER}/{number}/{tail}"))
                await connection.answer()

    lost = await ground.at_once(CONNECTIONS, one)
    after = await ground.once(ground.request("/metrics"))
    ground.figures |= {"/metrics, bytes": f"{len(before.body):,} -> {len(after.body):,}"}
    ground.check(not lost, f"hung up on {lost} callers")
    ground.check(len(after.body) - len(before.body) < MOST_GROWTH, "/metrics grew with the paths that were asked for")
    ground.check(MARKER.encode() not in after.body, "/metrics shows a path that was asked for")
    ground.allow(HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS)
