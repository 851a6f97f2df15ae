"""A chain of lines: each holds the digest of the one before, so that none can be changed, left out or put in unseen."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pydantic import ValidationError

from credit_risk.contract.seal import GENESIS, BeginLine

_LINKED = re.compile(rb',"previous":"([0-9a-f]{64})"\}\n?\Z')
_LONGEST_LINE = 2**20  # bytes; a policy or a catalogue may be in one


class Tip(NamedTuple):
    """How far a chain has come."""

    chain: str
    number: int  # of the file
    digest: str  # of its last line


def digest_of(line: bytes) -> str:
    """Hash a line without its newline."""
    return sha256(line.removesuffix(b"\n")).hexdigest()


def previous_of(line: bytes) -> str | None:
    """Read what a line says of the line before it. None if it is not linked."""
    found = _LINKED.search(line, max(0, len(line) - 82))
    return found[1].decode() if found else None


def link(lines: Sequence[bytes], previous: str) -> tuple[list[bytes], str]:
    """Link JSON objects, each a line, to each other and to the line before. Gives the digest of the last one, too."""
    linked = []
    for line in lines:
        content = b'%s,"previous":"%s"}' % (line[:-2], previous.encode())
        previous = sha256(content).hexdigest()
        linked.append(content + b"\n")
    return linked, previous


def begin_of(path: Path) -> BeginLine | None:
    """Read the first line of a file. None if it does not begin a part of a chain. Raises OSError."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        return BeginLine.model_validate_json(first)
    except ValidationError:
        return None


def tip_of(path: Path) -> Tip | None:
    """Find how far the chain has come in a file. A last line that a crash tore does not count.

    None if the file is no part of a chain. Raises OSError.
    """
    begin = begin_of(path)
    if begin is None:
        return None
    *before, last = _last_lines(path)
    if not last.endswith(b"\n"):
        if not before:
            return None
        last = before[-1]
    return Tip(begin.chain, begin.number, digest_of(last))


def tip_after(files: Iterable[Path]) -> Tip:
    """Find how far a chain has come in its files, whose names tell their order. A new one begins if there is none.

    Raises OSError.
    """
    for path in sorted(files, reverse=True):
        with contextlib.suppress(FileNotFoundError):  # an old one, which another process has removed
            tip = tip_of(path)
            if tip is not None:
                return tip
    return genesis(str(uuid4()))


def last_line(path: Path) -> bytes:
    """Read the last line of a file, whole or torn; nothing if it is empty. Raises OSError."""
    return _last_lines(path)[-1]


def _last_lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LONGEST_LINE))
        return file.read().splitlines(keepends=True) or [b""]


def genesis(chain: str) -> Tip:
    """Give the tip of a chain that has no file yet."""
    return Tip(chain, 0, GENESIS)
