"""What is no HTTP, what offers another protocol, and HTTP as nobody should write it."""

from __future__ import annotations

from http import HTTPStatus

from attack.application import GOOD, MARKER
from attack.ground import Ground

GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00" * 1000,
    b"\xff" * 1000 + b"\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    f"{MARKER} {MARKER} {MARKER}\r\n\r\n".encode(),
    b"\r\n" * 1000,
)
H2C = "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"
WEBSOCKET = "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"
CHUNKED = "Transfer-Encoding: chunked"
WAIT_SECONDS = 0.5  # for the end of a connection over which nothing was asked


async def garbage(ground: Ground) -> None:
    """What is no HTTP: TLS, HTTP/2, SSH, zeros, and random bytes."""

    async def one(number: int) -> None:
        bytes_ = GARBAGE[number] if number < len(GARBAGE) else ground.rng.randbytes(ground.rng.randrange(1, 4000))
        async with ground.open() as connection:
            await connection.send(bytes_)
            await connection.rest(WAIT_SECONDS)

    while ground.goes_on():
        await ground.at_once(50, one)
    ground.allow(HTTPStatus.BAD_REQUEST)
    ground.check(bool(ground.statuses), "never said that it wants HTTP")


async def upgrades(ground: Ground) -> None:
    """Offers of h2c and websocket, which a server may ignore, with a body and without."""
    length = f"Content-Length: {len(GOOD)}"
    while ground.goes_on():
        for offer in (H2C, WEBSOCKET):
            async with ground.open() as connection:
                await connection.send(ground.head("POST", "/classify", length, *offer), b"\r\n", GOOD)
                ground.check((await connection.answer()).status == HTTPStatus.OK, f"{offer[0]} loses a body")
                await connection.send(ground.head("GET", "/livez", *offer), b"\r\n")
                ground.check((await connection.answer()).status == HTTPStatus.OK, f"{offer[0]} is not ignored")
                await connection.send(ground.request("/classify", GOOD))
                ground.check((await connection.answer()).status == HTTPStatus.OK, f"{offer[0]} ends the connection")
        await ground.pause(0.1)


async def trailers(ground: Ground) -> None:
    """Headers that come after the body, a key among them."""
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(GOOD), GOOD)
    name = b"from-a-trailer"
    while ground.goes_on():
        async with ground.open() as connection:
            trailer = b"X-Request-Id: " + name + b"\r\n"
            await connection.send(ground.head("POST", "/classify", CHUNKED), b"\r\n", chunks, trailer, b"\r\n")
            answer = await connection.answer()
            ground.check(answer.status == HTTPStatus.OK, f"answered {answer.status} to a request with a trailer")
            ground.check(name not in answer.head, "took a trailer for a header")
        if ground.target.key:
            key = f"Authorization: Bearer {ground.target.key}\r\n".encode()
            head = ground.head("POST", "/classify", CHUNKED, keyed=False)
            answer = await ground.once(head, b"\r\n", chunks, key, b"\r\n")
            ground.check(answer.status == HTTPStatus.UNAUTHORIZED, "took a key from a trailer")
        await ground.pause(0.1)


async def odd_framing(ground: Ground) -> None:
    """Lengths and encodings as nobody should write them: padded, doubled, unknown, and both at once."""
    zeros = "0" * 5000
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    length = f"Content-Length: {len(GOOD)}"
    shapes = [
        ((f"Content-Length: {zeros}{len(GOOD)}",), GOOD),
        ((f"Content-Length: {zeros}{len(GOOD)}", *H2C), GOOD),
        ((length, length), GOOD),
        ((length, "Content-Length: 1"), GOOD),
        (("Content-Length: -1",), GOOD),
        (("Content-Length: 1e2",), GOOD),
        (("Content-Length: 99999999999999999999999",), GOOD),
        ((length, CHUNKED), chunks),
        ((CHUNKED, CHUNKED), chunks),
        (("Transfer-Encoding: gzip, chunked",), chunks),
        (("Transfer-Encoding: foo",), GOOD),
        (("Transfer-Encoding: foo", *H2C), GOOD),
        (("Transfer-Encoding: chunked, foo", *H2C), chunks),
        ((length, CHUNKED, *H2C), chunks),
        ((CHUNKED,), b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"),
        ((CHUNKED,), b"-5\r\n" + GOOD),
        ((CHUNKED,), b"FFFFFFFFFFFFFFFFF\r\n" + GOOD),
        ((length, "Content-Encoding: gzip"), GOOD),
        ((length, "Content-Type: application/vnd.bentoml+pickle"), GOOD),
        ((length, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), GOOD),
        ((length, f"X-Request-Id: {MARKER}\x0b"), GOOD),
        ((length, "Content-Type: multipart/form-data; boundary=a"), GOOD),
    ]

    async def one(number: int) -> None:
        headers, body = shapes[number]
        async with ground.open() as connection:
            connection.write(ground.head("POST", "/classify", *headers), b"\r\n", body)
            told = await connection.rest(WAIT_SECONDS)
            ground.check(bool(told), f"said nothing to {', '.join(header[:40] for header in headers)}")

    while ground.goes_on():
        await ground.at_once(len(shapes), one)
