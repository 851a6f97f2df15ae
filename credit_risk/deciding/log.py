"""The seam between decisions and their record: a batch of decisions is on record before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from credit_risk.deciding.decided import Decided
from credit_risk.record.encryption import encrypt
from credit_risk.record.writer import RecordWriter

PART = 50  # decisions that are rendered in one turn of the event loop


class Log(Protocol):
    """Puts decisions on record."""

    async def append(self, decisions: Sequence[Decided]) -> None:
        """Put all of these decisions on record or none. Raises UnavailableError if that is impossible.

        They were made by the same terms.
        """

    def is_healthy(self) -> bool:
        """Tell whether decisions can be put on record."""

    def close(self) -> None:
        """Finish what is under way."""


class DecisionLog:
    """Renders decisions as records and writes them."""

    def __init__(self, writer: RecordWriter, *, encrypts: bool = False) -> None:
        """`encrypts` what is personal in them."""
        self._writer = writer
        self._encrypts = encrypts

    async def append(self, decisions: Sequence[Decided]) -> None:
        lines: list[bytes] = []
        keys = b""
        for begin in range(0, len(decisions), PART):
            if begin:
                await asyncio.sleep(0)  # other requests are answered in between
            part = [decided.renderer.record(decided) for decided in decisions[begin : begin + PART]]
            if self._encrypts:
                part, more = encrypt(part)
                keys += more
            lines += part
        if decisions:
            await self._writer.append(lines, decisions[0].renderer.basis, keys)

    def is_healthy(self) -> bool:
        return self._writer.is_healthy()

    def close(self) -> None:
        self._writer.close()


class NoLog:
    """Keeps no record."""

    async def append(self, decisions: Sequence[Decided]) -> None:
        pass

    def is_healthy(self) -> bool:
        return True

    def close(self) -> None:
        pass


class FakeLog(NoLog):
    """A log for tests. It keeps decisions in memory, or raises `error` if one is set."""

    def __init__(self) -> None:
        self.decisions: list[Decided] = []
        self.error: Exception | None = None

    async def append(self, decisions: Sequence[Decided]) -> None:
        if self.error is not None:
            raise self.error
        self.decisions += decisions
