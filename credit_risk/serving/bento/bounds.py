"""Bounds on what a connection may send, in bytes and in headers."""

from __future__ import annotations

MOST_HEAD = 16 * 1024  # bytes
MOST_HEADERS = 100
PIECE = 2 * 1024  # bytes that are parsed before the bounds are looked at
PIECE_OF_BODY = 64 * 1024
QUEUED_REQUEST = 4 * 1024  # bytes of memory, roughly, for each request that waits for those before it
MOST_FRAMING = 2 * PIECE_OF_BODY
STEADY = 64 * 1024  # bytes of an upload that have to come in the time for a body
