"""The connections of a worker: how many are open, which ones only wait, and which have waited for too long.

Idle connections cost little, so thousands may be open. Where a new one would be one too many, the one that has waited
longest gives way, and those that never sent a whole request go first. What callers have begun to send and not finished
costs memory, so it is bounded in time, and in bytes for all of them together.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from itertools import takewhile
from time import perf_counter
from typing import Protocol

import psutil

from credit_risk.contract.errors import RequestError, TimedOutError, UnavailableError
from credit_risk.contract.refusals import UNFINISHED
from credit_risk.deciding.laps import Laps

# For a head, from its first byte or from connecting. For a body, from where it is first read; for a part of an upload.
READ_SECONDS = 10.0
SEND_SECONDS = 30.0  # for a caller to take an answer
LINGER_SECONDS = 2.0  # for a caller to read the last answer before the connection is closed
SWEEP_SECONDS = 0.5
MOST_HELD = 32 * 2**20  # bytes of unfinished heads and bodies, of all connections of a worker
MOST_UNSENT = 32 * 2**20  # bytes of answers that wait to be taken
SPARE_DESCRIPTORS = 16  # for the decision log, metrics and whatever libraries open

Answered = Callable[[str, int, float, Laps | None], None]  # takes path, status, seconds, and what explains them


class Connection(Protocol):
    """What is counted and swept."""

    def close(self) -> None:
        """Close at once, without another word."""

    def give_up(self, error: RequestError) -> None:
        """Refuse what the caller began to send, and close."""


class Connections:
    """Those of one worker. To be used on its event loop only."""

    def __init__(self, limit: int, answered: Answered) -> None:
        """`answered` is told of each answer."""
        self.keep_alive = 5.0  # seconds for which an idle connection is kept
        self.answered = answered
        self._limit = limit
        self._open: set[Connection] = set()
        # Each in the order of the time at which it began.
        self._lingering: dict[Connection, float] = {}  # have had their last answer
        self._incoming: dict[Connection, float] = {}  # are new or in the middle of a head
        self._idle: dict[Connection, float] = {}  # have had an answer and may send another request
        self._reading: dict[Connection, float] = {}  # are in the middle of a body that is being read
        self._sending: dict[Connection, float] = {}  # have answers that their caller does not take
        self._held: dict[Connection, int] = {}  # bytes that came and can't be worked on yet
        self._held_by_all = 0
        self._unsent: dict[Connection, int] = {}  # bytes of answers
        self._unsent_by_all = 0
        self._sweep_is_due = False

    def opened(self, connection: Connection) -> bool:
        """Count a new connection. Answers False if there are too many, all with a request under way."""
        if len(self._open) >= self._limit:
            waiting = self._lingering or self._incoming or self._idle
            if not waiting:
                return False
            self._drop(next(iter(waiting)))
        self._open.add(connection)
        self._incoming[connection] = perf_counter()
        self._sweep_soon()
        return True

    def begun(self, connection: Connection) -> None:
        """Note that a part of a head has come."""
        if connection not in self._incoming:
            self._idle.pop(connection, None)
            self._incoming[connection] = perf_counter()

    def asked(self, connection: Connection) -> None:
        """Note that a head has ended: a request is under way."""
        if self._idle.pop(connection, None) is None:
            self._incoming.pop(connection, None)
        if self._held:
            self._let_go(connection)

    def awaited(self, connection: Connection) -> None:
        """Note that the rest of a body is waited for."""
        self._reading.setdefault(connection, perf_counter())

    def holds(self, connection: Connection, size: int) -> None:
        """Count bytes of a head or a body that has not ended. What is oldest is given up if there are too many."""
        self._held[connection] = self._held.get(connection, 0) + size
        self._held_by_all += size
        while self._held_by_all > MOST_HELD:
            self._give_up(next(iter(self._held)), UnavailableError(UNFINISHED))

    def finished(self, connection: Connection) -> None:
        """Note that what was held has been worked on, or can be."""
        if self._reading:
            self._reading.pop(connection, None)
        if self._held:
            self._let_go(connection)

    def unsent(self, connection: Connection, size: int) -> None:
        """Note that so many bytes of an answer wait for the caller to take them. The oldest are dropped if too many."""
        self._sending.setdefault(connection, perf_counter())
        self._unsent_by_all += size - self._unsent.get(connection, 0)
        self._unsent[connection] = size
        while self._unsent_by_all > MOST_UNSENT:
            self._drop(next(iter(self._sending)))

    def sent(self, connection: Connection) -> None:
        """Note that the caller has taken what waited."""
        self._sending.pop(connection, None)
        self._unsent_by_all -= self._unsent.pop(connection, 0)

    def answered_all(self, connection: Connection) -> None:
        """Note that no request is under way any more."""
        self._idle[connection] = perf_counter()

    def lingers(self, connection: Connection) -> None:
        """Note that the last answer was sent, and the caller is given time to read it."""
        self._forget(connection)
        self._lingering[connection] = perf_counter()

    def lost(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self._open.discard(connection)
        self._forget(connection)

    def sweep(self, now: float) -> None:
        """Give up or close whatever has waited for too long."""
        for waiting in (self._incoming, self._reading):
            for connection in _since_before(now - READ_SECONDS, waiting):
                self._give_up(connection, TimedOutError(READ_SECONDS))
        for waiting, seconds in ((self._lingering, LINGER_SECONDS), (self._idle, self.keep_alive)):
            for connection in _since_before(now - seconds, waiting):
                if connection not in self._sending:
                    self._drop(connection)
        for connection in _since_before(now - SEND_SECONDS, self._sending):
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self.lost(connection)
        connection.close()

    def _give_up(self, connection: Connection, error: RequestError) -> None:
        self._forget(connection)
        connection.give_up(error)

    def _forget(self, connection: Connection) -> None:
        for waiting in (self._lingering, self._incoming, self._idle, self._reading):
            waiting.pop(connection, None)
        self._let_go(connection)
        self.sent(connection)

    def _let_go(self, connection: Connection) -> None:
        self._held_by_all -= self._held.pop(connection, 0)

    def _sweep_soon(self) -> None:
        if not self._sweep_is_due:
            self._sweep_is_due = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweep_is_due = False
        self.sweep(perf_counter())
        if self._open:
            self._sweep_soon()


def most_connections(wanted: int) -> int:
    """Bound the wanted number of connections by the descriptors that this process may still open."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, allowed - psutil.Process().num_fds() - SPARE_DESCRIPTORS))


def _since_before(time: float, waiting: dict[Connection, float]) -> list[Connection]:
    return list(takewhile(lambda connection: waiting[connection] < time, waiting))
