"""Guessing keys."""

from __future__ import annotations

from http import HTTPStatus

from attack.application import GOOD, MARKER
from attack.ground import Ground

CONNECTIONS = 20
GUESSES = 100  # over one connection
SCHEMES = ("Bearer {}", "Basic {}", "bearer {}", "Bearer  {}", "{}", "Bearer\t{}", "Bearer {}, Bearer {}")


async def guessed_keys(ground: Ground) -> None:
    """Up to 2,000 wrong keys, in every shape in which a key may be sent; without keys, nothing."""
    if not ground.target.key:
        ground.figures["skipped"] = "no key was given"
        return

    async def one(number: int) -> None:
        async with ground.open() as connection:
            for guess in range(GUESSES):
                if not ground.goes_on():  # the service may let those who guess wait
                    return
                token = f"{MARKER}{number}-{guess}{ground.target.key if guess % 10 == 0 else ''}"
                line = f"Authorization: {SCHEMES[guess % len(SCHEMES)].format(token, token)}"
                await connection.send(ground.request("/classify", GOOD, line, keyed=False))
                await connection.answer()

    lost = await ground.at_once(CONNECTIONS, one)
    ground.figures |= {"guesses": ground.statuses.total()}
    ground.check(not lost, f"hung up on {lost} callers")
    ground.allow(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
