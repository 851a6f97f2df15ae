"""What a file's bytes and names take to be on the disk."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data, in as many pieces as the system takes."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def append_whole(descriptor: int, content: bytes, size: int) -> None:
    """Append all of the content to a file of this size, or nothing. Raises OSError."""
    try:
        write_all(descriptor, content)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names of a folder's files durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
