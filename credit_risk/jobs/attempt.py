"""An attempt to deliver a message, and when the next one is due."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

FIRST_WAIT = 5.0  # seconds, on average
FACTOR = 4.0  # by which each wait is longer than the one before
LONGEST_WAIT = 6 * 3600.0
PERIOD = 24 * 3600.0  # from the first attempt to the last


class Attempt(BaseModel):
    """One attempt to deliver a message, and what came of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: Annotated[float, Field(description="Unix time when it began.")]
    seconds: Annotated[float, Field(ge=0, description="How long it took.")]
    status: Annotated[int | None, Field(description="The HTTP status of the answer, if one came.")] = None
    fault: Annotated[str | None, Field(description="Why it failed; null if the message is delivered.")] = None
    final: Annotated[bool, Field(description="Whether it is the last, because of what came of it.")] = False
    retry_after: Annotated[float | None, Field(ge=0, description="Seconds that the receiver asked to wait.")] = None


def next_attempt(attempts: Sequence[Attempt], uniform: Callable[[], float] = random.random) -> float | None:
    """Tell when to try again after these attempts of a message, in Unix time, or None.

    The waits grow, and each is up to half shorter or longer by chance, so that what failed together does not come back
    together; the receiver may ask for a longer one. The last attempt is made a day after the first. `uniform` gives
    numbers from 0 to 1.
    """
    last = attempts[-1]
    end = attempts[0].time + PERIOD
    if last.final or last.time >= end:
        return None
    backoff = min(FIRST_WAIT * FACTOR ** (len(attempts) - 1), LONGEST_WAIT) * (0.5 + uniform())
    return min(last.time + last.seconds + max(backoff, last.retry_after or 0), end)
