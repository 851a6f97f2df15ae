"""The head of an answer, as it is written."""

from __future__ import annotations

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

CLOSE = (b"connection", b"close")


def head_of(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Write the status line and the headers, without the empty line that ends them.

    Raises RuntimeError if a header has a line break, and would be read as two.
    """
    lines = [STATUS_LINE[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(headers) + 1:
        raise RuntimeError("a header has a line break")
    return head
