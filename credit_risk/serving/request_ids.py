"""The ids of requests, by which callers and logs name them."""

from __future__ import annotations

from uuid_utils import uuid7


def request_id_of(given: bytes | None) -> str:
    """Take the caller's id of the request if it is fit for a log, or else make a new one."""
    if given is not None and 0 < len(given) <= 128 and given.isascii() and given.decode().isprintable():
        return given.decode()
    return str(uuid7())
