"""Receivers on loopback addresses that answer as a script says, byte by byte, and note what came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Step = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]  # by name in lower case
    body: bytes


@dataclass
class Receiver:
    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook"


def answer(status: int, headers: str = "", body: bytes = b"") -> Step:
    async def step(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} In other words\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)

    return step


def raw(text: bytes) -> Step:
    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(text)

    return step


def endless(start: bytes, part: bytes, *, pause: float = 0) -> Step:
    """Write a start, and then a part again and again, until the other side has gone."""

    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return step


async def silence(writer: asyncio.StreamWriter) -> None:  # noqa: ARG001
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def receiving(*script: Step, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Serve the steps of the script in turn, and the last one again for ever."""
    receiver = Receiver(port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                receiver.requests.append(await _request(reader))
                await script[min(len(receiver.requests), len(script)) - 1](writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(start, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _request(reader: asyncio.StreamReader) -> Request:
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    return Request(line, headers, await reader.readexactly(int(headers["content-length"])))
