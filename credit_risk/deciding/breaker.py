"""A breaker in front of another machine: after failures in a row, nobody asks it for a while."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

logger = logging.getLogger("bentoml.credit_risk")

FAILURES = 3  # in a row, before the breaker opens
PAUSE = 1.0  # seconds that it stays open before somebody may try


class OpenError(Exception):
    """The breaker is open: the machine failed lately, and was not asked."""


class Breaker:
    """Lets calls through until several in a row have failed; then one call each second, until one succeeds.

    The log tells when it opens, and when it closes.

    >>> with breaker.guard():          # raises OpenError at once while the breaker is open
    ...     answer = await ask()       # whatever this raises counts as a failure
    """

    def __init__(
        self, name: str, *, failures: int = FAILURES, pause: float = PAUSE, clock: Callable[[], float] = monotonic
    ) -> None:
        """`name` is that of the machine, as the log may show it."""
        self._name = name
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0  # in a row
        self._next_try = 0.0  # when somebody may try while the breaker is open

    @property
    def is_open(self) -> bool:
        """Whether the machine failed too often, and has not answered since."""
        return self._failures >= self._most

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Guard one call. A call that is cancelled says nothing about the machine."""
        if self.is_open:
            now = self._clock()
            if now < self._next_try:
                raise OpenError
            self._next_try = now + self._pause  # for the others, while this one tries
        try:
            yield
        except Exception as error:
            self._failures += 1
            self._next_try = self._clock() + self._pause
            if self._failures == self._most:
                logger.warning(
                    "%s fails, and is only tried now and then: %s", self._name, str(error) or type(error).__name__
                )
            raise
        if self.is_open:
            logger.info("%s answers again", self._name)
        self._failures = 0
