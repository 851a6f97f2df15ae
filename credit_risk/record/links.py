"""What holds and what is broken within one file of a sealed log."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from credit_risk.contract.seal import BeginLine, HeadLine
from credit_risk.record.chain import digest_of, previous_of
from credit_risk.record.signing import PublicKeys

L = TypeVar("L", bound=BaseModel)
BEGIN = b'{"schema":2,"seal":"begin"'
HEAD = b'{"schema":2,"seal":"head"'
SLOT = re.compile(r"-(w[0-9]+|sealed)\.ndjson$").search  # in names of files that are sealed for certain
NO_KEY = "it names a key that is none of the public keys that were given"


class Fault(NamedTuple):
    """What is broken, and where first."""

    line: int  # from 1
    what: str


class Part(NamedTuple):
    """A file of a log."""

    path: Path
    begin: BeginLine | None  # None if it is not sealed
    lines: int  # whole ones
    last: str  # digest of the last line
    heads: frozenset[str]  # signatures that hold
    signed: int  # lines that the last head and what is ahead of it are
    signed_at: datetime | None
    is_torn: bool
    fault: Fault | None


def check_part(path: Path, keys: PublicKeys, report: Callable[[int], object] = lambda _: None) -> Part:
    """Check every link and signature of a file. `report` is told the bytes that were read. Raises OSError."""
    begin, fault, heads, signed, signed_at = None, None, set(), 0, None
    number, last, is_torn = 0, "", False
    with path.open("rb") as file:
        for line in file:
            report(len(line))
            if not line.endswith(b"\n"):
                is_torn = True
                break
            number += 1
            linked_to, before, last = previous_of(line), last, digest_of(line)
            if fault is not None:
                continue
            if number == 1:
                begin, fault = _begin(line, keys, linked_to)
                if fault is None and begin is None and SLOT(path.name):
                    fault = Fault(1, "its seal was removed, or its beginning was deleted")
            elif begin is None:
                if linked_to is not None:
                    fault = Fault(1, "the beginning of the file was deleted or edited")
            elif linked_to != before:
                fault = _diagnosis(path, number)
            elif line.startswith(HEAD):
                found = _head(line, begin, number, keys)
                if isinstance(found, HeadLine):
                    heads.add(found.signature)
                    signed, signed_at = number, found.time
                else:
                    fault = Fault(number, found)
    return Part(path, begin, number, last, frozenset(heads), signed, signed_at, is_torn, fault)


def _begin(line: bytes, keys: PublicKeys, linked_to: str | None) -> tuple[BeginLine | None, Fault | None]:
    if not line.startswith(BEGIN):
        return None, Fault(1, "the beginning of the file was deleted or edited") if linked_to else None
    begin = _parsed(line, BeginLine)
    if begin is None or begin.previous is None:
        return None, Fault(1, "edited: it does not begin a file as a seal does")
    return begin, None if begin.key in keys else Fault(1, f"foreign key: {NO_KEY}")


def _head(line: bytes, begin: BeginLine, number: int, keys: PublicKeys) -> HeadLine | str:
    """Give the head, or what is wrong with it."""
    head = _parsed(line, HeadLine)
    if head is None or head.previous is None:
        return "edited: it is not a head as a seal has it"
    if head.key not in keys:
        return f"foreign key: {NO_KEY}"
    if not keys.holds(head.key, head.signature, head.signed(head.previous)):
        return "its signature does not hold: it was edited, or signed by a foreign key"
    if (head.chain, head.number, head.lines) != (begin.chain, begin.number, number - 1):
        return f"it signs another place than this: line {head.lines + 1} of file {head.number} of its chain"
    return head


def _parsed(line: bytes, kind: type[L]) -> L | None:
    try:
        return kind.model_validate_json(line)
    except ValidationError:
        return None


def _diagnosis(path: Path, number: int) -> Fault:
    """Say what was done where a line is not linked to the one before."""
    lines = path.read_bytes().splitlines(keepends=True)
    digests, at = [digest_of(line) for line in lines], number - 1
    previous = previous_of(lines[at])
    if previous is None:
        return Fault(number, "inserted or edited: it is not linked to the line before")
    if at >= 2 and previous == digests[at - 2]:
        return Fault(number - 1, "inserted: the line after it follows the line before it")
    if previous in digests:
        return Fault(number, f"reordered: it follows line {digests.index(previous) + 1}")
    if at + 1 < len(lines) and previous_of(lines[at + 1]) != digests[at]:
        return Fault(number, "edited: neither the line before nor the line after fits it")
    return _before(lines, at)


def _before(lines: Sequence[bytes], at: int) -> Fault:
    """Say what was done ahead of a line that is as it was. The next head knows how many lines there were."""
    for position in range(at, len(lines)):
        head = _parsed(lines[position], HeadLine) if lines[position].startswith(HEAD) else None
        if head is not None:
            missing = head.lines - position
            if missing == 0:
                return Fault(at, "edited: the line after it follows what it was")
            lines_are = "line is" if missing == 1 else "lines are"
            if missing > 0:
                return Fault(at + 1, f"deleted: {missing} {lines_are} missing ahead of it")
            return Fault(at, "inserted or edited: the line after it follows another")
    return Fault(at, "edited, or lines after it were deleted: the line after it follows another")
