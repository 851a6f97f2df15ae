"""Sealed logs to verify, and what can be done to them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from credit_risk.record.files import RecordFiles
from credit_risk.record.retention import FILES
from credit_risk.record.seal import Seal
from credit_risk.record.signing import SigningKey
from credit_risk.record.verifying import Verdict, keys_of, verify
from tests.deciders import record_files

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"a key for tests, of 32 bytes.   "))
FOREIGN = SigningKey(Ed25519PrivateKey.from_private_bytes(b"another key for tests, 32 bytes."))


def a_record(number: int, status: str = "APPROVED") -> bytes:
    return json.dumps({"schema": 2, "number": number, "status": status}, separators=(",", ":")).encode() + b"\n"


def seal_of(folder: Path, key: SigningKey = KEY) -> Seal:
    """A seal whose heads also go to a file beside the folder."""
    return Seal(key, str(heads_of(folder)), seconds=3600)


def heads_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-heads.ndjson")


def sealed_files(folder: Path, **changes: Any) -> RecordFiles:
    return record_files(folder, **({"seal": seal_of(folder), "rotate_bytes": 1500} | changes))


def write(folder: Path, batches: Sequence[int], key: SigningKey = KEY, **changes: Any) -> None:
    """Write a log of batches of so many records, with a head after each, and close it."""

    async def each(log: RecordFiles) -> None:
        number = 0
        for size in batches:
            await log.append([a_record(number + position) for position in range(size)])
            await log._sign()
            number += size
        log.close()

    asyncio.run(each(sealed_files(folder, **({"seal": seal_of(folder, key)} | changes))))


def found_in(folder: Path) -> Verdict:
    return verify(folder, keys_of([folder], []), [heads_of(folder)] if heads_of(folder).exists() else [])


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(FILES))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _edited(lines: list[bytes], at: int, chance: random.Random) -> None:
    line = bytearray(lines[at])
    position = chance.randrange(len(line) - 1)
    line[position] = chance.choice([byte for byte in b"0123456789abcdef" if byte != line[position]])
    lines[at] = bytes(line)


def _flipped(lines: list[bytes], at: int, chance: random.Random) -> None:
    """As a forger would: another status, or else another figure."""
    if b"APPROVED" in lines[at]:
        lines[at] = lines[at].replace(b"APPROVED", b"DECLINED")
    else:
        _edited(lines, at, chance)


def _deleted(lines: list[bytes], at: int, chance: random.Random) -> None:
    del lines[at : at + chance.choice([1, 1, 3])]


def _inserted(lines: list[bytes], at: int, chance: random.Random) -> None:
    lines.insert(at, chance.choice([a_record(99), lines[chance.randrange(len(lines))]]))


def _reordered(lines: list[bytes], at: int, _: random.Random) -> None:
    other = at + 1 if at + 1 < len(lines) else at - 1
    lines[at], lines[other] = lines[other], lines[at]


def _cut(lines: list[bytes], at: int, _: random.Random) -> None:
    del lines[at:]


TAMPERING: dict[str, Callable[[list[bytes], int, random.Random], None]] = {
    "edited": _edited,
    "flipped": _flipped,
    "deleted": _deleted,
    "inserted": _inserted,
    "reordered": _reordered,
    "cut": _cut,
}


def tamper(folder: Path, kind: str, chance: random.Random) -> Path:
    """Do something to a line of one of the files. Gives the file."""
    path = chance.choice(files_in(folder))
    before = lines_of(path)
    lines = list(before)
    TAMPERING[kind](lines, chance.randrange(len(lines)), chance)
    assert lines != before
    path.write_bytes(b"".join(lines))
    return path
