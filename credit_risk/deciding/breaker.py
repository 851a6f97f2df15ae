"""A breaker in front of another machine: after failures in a row, nobody waits for it until it is well again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger("bentoml.credit_risk")

FAILURES = 3  # in a row, before the breaker opens
PAUSE = 1.0  # seconds between probes while it is open


class OpenError(Exception):
    """The breaker is open: the machine failed lately, and was not asked."""


class Breaker:
    """Lets calls through until several in a row have failed. Then it probes the machine itself until that succeeds.

    The log tells when it opens, and when it closes.

    >>> with breaker.guard():          # raises OpenError at once while the breaker is open
    ...     answer = await ask()       # whatever this raises counts as a failure
    """

    def __init__(
        self, name: str, probe: Callable[[], Awaitable[object]], *, failures: int = FAILURES, pause: float = PAUSE
    ) -> None:
        """`name` is that of the machine, as the log may show it. `probe` asks it, and raises if it is not well."""
        self._name = name
        self._probe = probe
        self._most = failures
        self._pause = pause
        self._failures = 0  # in a row
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the machine failed too often, and has not been well since."""
        return self._failures >= self._most

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Guard one call, on the event loop. A call that is cancelled says nothing about the machine."""
        if self.is_open:
            raise OpenError
        try:
            yield
        except Exception as error:
            self._failures += 1
            if self._failures == self._most:
                reason = str(error) or type(error).__name__
                logger.warning("%s fails, and is only probed until it is well: %s", self._name, reason)
                self._probing = asyncio.get_running_loop().create_task(self._probe_until_well())
            raise
        if not self.is_open:  # this call may have begun before others failed
            self._failures = 0

    def close(self) -> None:
        """Stop probing."""
        if self._probing is not None:
            self._probing.cancel()

    async def _probe_until_well(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self._probe()
            except Exception:
                continue
            self._failures = 0
            logger.info("%s is well again", self._name)
            return
