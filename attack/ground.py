"""Where an attack takes place: the service, the bounds that it keeps to, and what it has seen."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from attack.application import MARKER
from attack.target import Target

ANSWER_SECONDS = 30.0  # after which an answer is taken for lost: more than the service takes to give up on a caller
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, whatever is unsent or unread


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    head: bytes
    body: bytes


@dataclass
class Connection:
    """A connection of an attacker, who may do as it likes."""

    ground: Ground
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, *parts: bytes) -> None:
        """Send when the service takes it."""
        self.writer.write(b"".join(parts))

    async def send(self, *parts: bytes) -> None:
        """Send, and wait until most of it is taken. Raises OSError if the service has hung up."""
        self.write(*parts)
        await self.writer.drain()

    async def drip(self, content: bytes, seconds: float) -> None:
        """Send a byte at a time, so many seconds apart, and read until the service ends the connection."""
        for place in range(len(content)):
            await self.send(content[place : place + 1])
            await self.ground.pause(seconds)
            if not self.ground.goes_on():
                return
        await self.rest(self.ground.left())

    async def answer(self) -> Answer:
        """Read one answer. Raises EOFError or OSError if there is none, TimeoutError if it does not come."""
        async with asyncio.timeout(ANSWER_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await self.reader.readexactly(int(length[1])) if length else await self._chunks(head)
        found = STATUS.match(head)
        status = int(found[1]) if found else 0
        self.ground.statuses[status] += 1
        return Answer(status, head, body)

    async def rest(self, seconds: float = ANSWER_SECONDS) -> bytes:
        """Read until the service ends the connection, or for `seconds`, and count the answers."""
        told = bytearray()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                while part := await self.reader.read(2**16):
                    told += part
        return self._counted(told)

    async def rest_until_quiet(self, seconds: float = ANSWER_SECONDS) -> bytes:
        """Read until the service ends the connection or says nothing for `seconds`, and count the answers."""
        told = bytearray()
        with suppress(OSError, TimeoutError):
            while part := await asyncio.wait_for(self.reader.read(2**16), seconds):
                told += part
        return self._counted(told)

    def hang_up(self) -> None:
        """Reset the connection."""
        taken = self.writer.get_extra_info("socket")
        if taken is not None and taken.fileno() >= 0:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()

    def _counted(self, told: bytearray) -> bytes:
        self.ground.statuses.update(int(status) for status in STATUS.findall(told))
        return bytes(told)

    async def _chunks(self, head: bytes) -> bytes:
        if b"\r\ntransfer-encoding: chunked" not in head.lower():
            return b""
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body


@dataclass
class Ground:
    """What an attack has to do with."""

    target: Target
    seconds: float
    requests: int
    rng: random.Random
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Give the seconds that are left."""
        return max(0.0, self.began + self.seconds - time.monotonic())

    def goes_on(self) -> bool:
        """Tell whether there is time left."""
        return self.left() > 0

    async def pause(self, seconds: float) -> None:
        """Wait, but not for longer than the attack lasts."""
        await asyncio.sleep(min(seconds, self.left()))

    def check(self, holds: bool, fault: str) -> None:
        """Note what gave way, once."""
        if not holds and fault not in self.faults:
            self.faults.append(fault)

    def allow(self, *statuses: int) -> None:
        """Note a fault for every other status that was seen."""
        others = sorted(set(self.statuses) - set(statuses))
        self.check(not others, f"was answered {', '.join(map(str, others))}")

    def head(self, method: str, path: str, *headers: str, keyed: bool = True) -> bytes:
        """Make the lines of a head, with the key and the marker, and without the empty line."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.target.host}", f"X-Request-Id: {MARKER}", *headers]
        if self.target.key and keyed:
            lines.append(f"Authorization: Bearer {self.target.key}")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def request(self, path: str, body: bytes | None = None, *headers: str, keyed: bool = True) -> bytes:
        """Make a whole request: a POST if there is a body."""
        if body is None:
            return self.head("GET", path, *headers, keyed=keyed) + b"\r\n"
        return self.head("POST", path, *headers, f"Content-Length: {len(body)}", keyed=keyed) + b"\r\n" + body

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Connection]:
        """Connect, and hang up afterwards."""
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(self.target.host, self.target.port, limit=2**20), ANSWER_SECONDS
        )
        connection = Connection(self, reader, writer)
        try:
            yield connection
        finally:
            connection.hang_up()

    async def once(self, *parts: bytes) -> Answer:
        """Ask over a connection of its own."""
        async with self.open() as connection:
            await connection.send(*parts)
            return await connection.answer()

    async def at_once(self, count: int, one: Callable[[int], Awaitable[None]]) -> int:
        """Let `count` of them loose together. Answers how many ended early because the service hung up."""
        ended = await asyncio.gather(*(one(number) for number in range(count)), return_exceptions=True)
        hung_up = (OSError, EOFError)
        for error in ended:
            if isinstance(error, TimeoutError):
                self.check(False, f"an answer did not come within {ANSWER_SECONDS:g} s")
            elif isinstance(error, BaseException) and not isinstance(error, hung_up):
                raise error
        return sum(isinstance(error, hung_up) for error in ended)


Launch = Callable[[Ground], Awaitable[None]]


class Attack(NamedTuple):
    """Something that is done to a service."""

    name: str
    sentence: str
    launch: Launch


def attack_of(launch: Launch) -> Attack:
    """Name an attack by its function, and describe it by the first line of its docstring."""
    function: Any = launch
    return Attack(function.__name__.replace("_", "-"), function.__doc__.splitlines()[0], launch)
