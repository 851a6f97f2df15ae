"""Valid requests, changed at random."""

from __future__ import annotations

import random
from collections.abc import Callable

from attack.application import BAD, GOOD, MARKER, SAMPLE
from attack.ground import Connection, Ground

CONNECTIONS = 128
PIPELINED = 10  # requests over one connection; the last one may be no HTTP, and ends it
QUIET_SECONDS = 0.3  # after which an answer to what is no HTTP is not waited for: it may ask for more body
LITERALS = (b"null", b"true", b"1e999", b"-1", b"[]", b"{}", b'""', b"NaN", b"9" * 400, b'"\\ud800"', b"[" * 50, b"")
BYTES = (b"\x00", b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"%", b"\xff", b"\xc3\x28", b'"', b"{", b"}", b"\x7f", b"/")
METHODS = (b"GET", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"PATCH", b"TRACE", b"post", b"PRI")
SEVERAL = ("/classify_batch", "/classify_array", "/classify_table")
PATHS = ("/classify", "/classify", "/classify", *SEVERAL, "/livez", "/", "/openapi.json", "/model-card")
AROUND = (b"[@]", b"[[@]]", b'{"columns":@,"data":[[@]]}', b"@\n@", b"@")  # an array, rows, a table, and CSV

Change = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, text: bytes) -> bytes:
    place = rng.randrange(len(text))
    return text[:place] + bytes([text[place] ^ 1 << rng.randrange(8)]) + text[place + 1 :]


def _insert(rng: random.Random, text: bytes) -> bytes:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(BYTES) * rng.choice((1, 1, 2, 100)) + text[place:]


def _cut(rng: random.Random, text: bytes) -> bytes:
    first = rng.randrange(len(text))
    return text[:first] + text[rng.randrange(first, len(text)) + 1 :]


def _repeat(rng: random.Random, text: bytes) -> bytes:
    first = rng.randrange(len(text))
    last = min(len(text), first + rng.randrange(1, 60))
    return text[:last] + text[first:last] * rng.randrange(1, 5) + text[last:]


def _swap_line(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\r\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\r\n".join(lines)


def _change_method(rng: random.Random, text: bytes) -> bytes:
    return rng.choice(METHODS) + text[text.find(b" ") :]


CHANGES: tuple[Change, ...] = (_flip, _insert, _cut, _repeat, _swap_line, _change_method)
CHANGES_OF_BODY: tuple[Change, ...] = (_flip, _insert, _cut, _repeat)


def changed_body(rng: random.Random) -> bytes:
    """Give an application in which a value or some bytes are not as they should be."""
    body = rng.choice((GOOD, BAD))
    if rng.random() < 0.5:
        field = rng.choice(list(SAMPLE)).encode()
        before, found, after = body.partition(b'"%b": ' % field)
        ends = [place for place in (after.find(b","), after.find(b"}")) if place >= 0]
        literal = rng.choice((*LITERALS, f'"{MARKER}"'.encode()))
        return before + found + literal + after[min(ends, default=0) :]
    for _ in range(rng.randrange(1, 4)):
        body = rng.choice(CHANGES_OF_BODY)(rng, body) or b"{"
    return body


def with_changed_body(rng: random.Random, ground: Ground) -> bytes:
    """Give a request whose body is no application any more, for the most part."""
    body = changed_body(rng)
    if rng.random() < 0.7:
        return ground.request("/classify", body)
    return ground.request(rng.choice(SEVERAL), rng.choice(AROUND).replace(b"@", body))


def changed_anywhere(rng: random.Random, ground: Ground) -> bytes:
    """Give a request that is no HTTP any more, for the most part."""
    text = ground.request(rng.choice(PATHS), GOOD if rng.random() < 0.8 else None)
    for _ in range(rng.randrange(1, 4)):
        text = rng.choice(CHANGES)(rng, text) or b"G"
    return text


async def fuzz(ground: Ground) -> None:
    """Valid requests that are changed at random, in the body or anywhere; as many as --requests says."""
    left = ground.requests

    async def one(_: int) -> None:
        nonlocal left
        while left > 0:
            count = min(PIPELINED, left)
            left -= count
            well_formed = [with_changed_body(ground.rng, ground) for _ in range(count - 1)]
            async with ground.open() as connection:
                connection.write(*well_formed)
                if not await _all_answered(connection, len(well_formed)):
                    continue
                last = ground.request("/livez", None, "Connection: close")
                connection.write(changed_anywhere(ground.rng, ground), last)
                await connection.rest_until_quiet(QUIET_SECONDS)

    lost = await ground.at_once(CONNECTIONS, one)
    ground.figures |= {"requests": ground.requests, "answers": ground.statuses.total()}
    ground.check(not lost, f"hung up on {lost} callers whose requests were well-formed")


async def _all_answered(connection: Connection, count: int) -> bool:
    """Read so many answers. Answers False if the service says that it closes after one, as it may."""
    for _ in range(count):
        answer = await connection.answer()
        if b"\r\nconnection: close" in answer.head.lower():
            return False
    return True
