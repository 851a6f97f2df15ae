"""Bodies that never begin, that trickle, that never end, and that are made to cost as much as they can."""

from __future__ import annotations

from http import HTTPStatus

from attack.application import GOOD, MARKER, SAMPLE
from attack.ground import Ground

ABSENT = 500
TRAILERS = 10
MOST_ACCEPTED = 64 * 2**20  # bytes of one message
COSTLY_BYTES = 2 * 2**20  # a fifth of what a batch may have, so that what gives way does not take this machine with it
LARGEST_SINGLE = 60_000  # bytes: a little less than /classify takes
END_SECONDS = 2.0


async def absent_bodies(ground: Ground) -> None:
    """500 connections announce a body and never send it."""
    heads = [
        ground.head("POST", "/classify", f"Content-Length: {len(GOOD)}") + b"\r\n",
        ground.head("POST", "/classify_batch", "Content-Length: 1000000") + b"\r\n",
        ground.head("POST", "/classify", "Transfer-Encoding: chunked") + b"\r\n5\r\n{",
        ground.head("GET", "/livez", "Content-Length: 5") + b"\r\n",
        ground.head("POST", "/classify", "Content-Length: 100", "Expect: 100-continue") + b"\r\n",
    ]

    async def one(number: int) -> None:
        async with ground.open() as connection:
            await connection.send(heads[number % len(heads)])
            await connection.rest(ground.left())

    await ground.at_once(ABSENT, one)
    ground.figures |= {"connections": ABSENT}
    ground.allow(HTTPStatus.CONTINUE, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)


async def trickling_bodies(ground: Ground) -> None:
    """500 connections send a body a byte at a time."""

    async def one(number: int) -> None:
        path = ("/classify", "/classify_batch")[number % 2]
        async with ground.open() as connection:
            await connection.send(ground.head("POST", path, f"Content-Length: {len(GOOD)}"), b"\r\n")
            await connection.drip(GOOD, 0.2)

    ended = await ground.at_once(ABSENT, one)
    ground.figures |= {"connections": ABSENT, "ended by the service": ended}
    ground.allow(HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)


async def endless_trailers(ground: Ground) -> None:
    """10 connections send chunks whose trailers, extensions or size lines have no end."""
    begins = (b"0\r\nX: ", b"5;a=", b"0" * 16, b"0\r\n")
    piece = b"0" * 2**16
    line = b"X: " + b"0" * 1000 + b"\r\n"
    accepted = [0] * TRAILERS

    async def one(number: int) -> None:
        begin = begins[number % len(begins)]
        async with ground.open() as connection:
            await connection.send(ground.head("POST", "/classify", "Transfer-Encoding: chunked"), b"\r\n", begin)
            while accepted[number] < MOST_ACCEPTED and ground.goes_on():
                part = line * 64 if begin.endswith(b"\n") else piece
                await connection.send(part)
                accepted[number] += len(part)
            await connection.rest(END_SECONDS)

    while ground.goes_on():
        accepted[:] = [0] * TRAILERS
        await ground.at_once(TRAILERS, one)
        ground.check(max(accepted) < MOST_ACCEPTED, "took 64 MB of one message that had already ended")
    ground.figures |= {"most taken, MB": round(max(accepted) / 1e6, 1)}


def costly_batches() -> dict[str, bytes]:
    """Give bodies of a batch that are refused, each of which asks for much work first."""
    return {
        "unknown fields": b"[{" + _filled(b'"%s-%%d":1' % MARKER.encode()) + b"}]",
        "a field given again and again": b"[" + GOOD[:-1] + b"," + _filled(b'"age":1') + b"}]",
        "lists in a field": b'[{"income":[' + _filled(b"[]") + b"]}]",
        "objects in a field": b'[{"home":[' + _filled(b"{}") + b"]}]",
        "empty applications": b"[" + _filled(b"{}") + b"]",
        "deep lists": b"[" * COSTLY_BYTES,
        "deep objects": b'[{"a":' * (COSTLY_BYTES // 6),
        "a long number": b'[{"income":' + b"9" * COSTLY_BYTES + b"}]",
        "a long word": b'[{"home":"' + b"\\u0061" * (COSTLY_BYTES // 6) + b'"}]',
        "braces": b'[{"home":"' + b"},{" * (COSTLY_BYTES // 3) + b'"}]',
        "white space": b"[" + b" " * COSTLY_BYTES + b"}",
    }


def costly_rows() -> list[bytes]:
    """Give bodies of rows that are refused, each of which asks for much work first."""
    return [b"[[" + _filled(b"1") + b"]]", b"[[1" + b"] " * (COSTLY_BYTES // 2), b"[[" + b"]" * COSTLY_BYTES]


def costly_tables() -> list[bytes]:
    """Give tables that are refused, each of which asks for much work first."""
    names = ",".join(SAMPLE)
    return [
        b'{"columns":[' + _filled(b'"income%d"') + b'],"data":[]}',
        b'{"index":[' + _filled(b"1") + b'],"columns":[],"data":[]}',
        b'{"columns":["income"],"data":[' + _filled(b"[]") + b"]}",
        *(names.encode() + b"\n" + piece * COSTLY_BYTES for piece in (b"\n", b",", b'"')),
    ]


def _filled(piece: bytes, size: int = COSTLY_BYTES) -> bytes:
    return b",".join(piece % number if b"%d" in piece else piece for number in range(size // (len(piece) + 1)))


async def costly_bodies(ground: Ground) -> None:
    """Bodies of 2 MB and 60 kB that are refused only after much work: unknown fields, lists in a field, depth."""
    singles = [
        b"{" + _filled(b'"%d":1', LARGEST_SINGLE // 2) + b"}",
        b'{"income":[' + _filled(b"[]", LARGEST_SINGLE) + b"]}",
        b"{" + b",".join(b'"income%d%s":1' % (n, b"x" * 50) for n in range(LARGEST_SINGLE // 80)) + b"}",
    ]
    requests = [("/classify_batch", body) for body in costly_batches().values()]
    requests += [("/classify_array", body) for body in costly_rows()]
    requests += [("/classify_table", body) for body in costly_tables()]
    requests += [("/classify", body) for body in singles for _ in range(10)]
    allowed = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE}

    async def one(number: int) -> None:
        for path, body in requests[number::2]:
            answer = await ground.once(ground.request(path, body))
            ground.check(answer.status in allowed, f"answered {answer.status} to a body that is none")

    lost = 0
    while True:
        lost += await ground.at_once(2, one)
        if not ground.goes_on():
            break
    ground.check(not lost, f"hung up on {lost} callers")
