"""What holds and what is broken in a sealed log, over all of its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from credit_risk.contract.errors import DataError
from credit_risk.contract.seal import GENESIS, BeginLine, HeadLine, RemovedLine
from credit_risk.record.links import HEAD, Part, check_part
from credit_risk.record.reader import files_of
from credit_risk.record.retention import EVENTS
from credit_risk.record.seal import FOLDER, REMOVED
from credit_risk.record.signing import PUBLIC_KEYS, PublicKeys

Sealed = tuple[BeginLine, Part]
Known = dict[
    tuple[str, int], str
]  # the last digests of files that were removed as retention wants it, by chain and number


class Verdict(NamedTuple):
    """What was found in a log."""

    parts: list[Part]
    faults: list[str]  # each names a file and a line

    @property
    def sealed(self) -> list[Part]:
        return [part for part in self.parts if part.begin is not None]

    @property
    def chains(self) -> list[list[Sealed]]:
        """The files of each chain, in order."""
        chains: dict[str, list[Sealed]] = defaultdict(list)
        for part in self.parts:
            if part.begin is not None:
                chains[part.begin.chain].append((part.begin, part))
        return [sorted(chain, key=lambda each: each[0].number) for chain in chains.values()]

    @property
    def unsigned(self) -> int:
        """How many lines no head signs yet, because they came after the last one."""
        lines = 0
        for chain in self.chains:
            for _, part in reversed(chain):
                lines += part.lines - part.signed
                if part.signed:
                    break
        return lines

    @property
    def unsealed(self) -> list[Part]:
        return [part for part in self.parts if part.begin is None and part.lines and part.fault is None]


def keys_of(folders: Iterable[Path], named: Sequence[Path]) -> PublicKeys:
    """Load the public keys that were named, or else those beside the logs. Raises DataError."""
    return PublicKeys.load(named or [path for folder in folders for path in (folder / FOLDER).glob(PUBLIC_KEYS)])


def sealed_files(log: Path) -> list[Path]:
    """List the files of a log that the seal is about: its events, too. Raises DataError if there are none."""
    files = [Path(file) for file in files_of(str(log))]
    return [*files, *sorted(log.glob(EVENTS))] if log.is_dir() else files


def verify(
    log: Path, keys: PublicKeys, heads: Sequence[Path] = (), report: Callable[[int], object] = lambda _: None
) -> Verdict:
    """Check a folder of files, or one file alone, whose neighbours are then not missed.

    `heads` are files of a second place. `report` is told the bytes that were read. Raises DataError.
    """
    try:
        parts = [check_part(file, keys, report) for file in sealed_files(log)]
    except OSError as error:
        raise DataError(f"{error.filename or log} can't be read: {error.strerror}") from None
    faults = [f"{part.path}:{part.fault.line}: {part.fault.what}" for part in parts if part.fault]
    verdict = Verdict(parts, faults)
    if log.is_dir():
        removed = _removed(log / FOLDER / REMOVED, keys)
        for chain in verdict.chains:
            faults += _gaps(chain, removed)
        for place in heads:
            faults += _unfound(place, verdict, removed, keys)
    return verdict


def said_of_seal(file: Path, line: int, keys: PublicKeys) -> str:
    """Say whether the seal holds for a line of a file, as far as the file alone tells. Raises DataError."""
    [part] = verify(file, keys).parts
    if part.begin is not None and not len(keys):
        return "unknown: there is no public key beside the log; name one with --key"
    if part.fault is not None and part.fault.line <= line + 1:
        return f"broken: line {part.fault.line}: {part.fault.what}"
    if part.begin is None:
        return "none: the log is not sealed"
    if line <= part.signed:
        return f"holds: signed at {part.signed_at:%Y-%m-%d %H:%M:%S} with key {part.begin.key}"
    return "holds, but no head in its file signs it yet"


def _gaps(chain: Sequence[Sealed], removed: Known) -> Iterator[str]:
    """Say where one file of a chain does not follow the other."""
    first, part = chain[0]
    if first.number == 1:
        if first.previous != GENESIS:
            yield f"{part.path}:1: edited: the first file of a chain follows nothing"
    elif removed.get((first.chain, first.number - 1)) != first.previous:
        yield f"{part.path}:1: deleted: {_missing(1, first.number - 1)}"
    for (before, earlier), (after, later) in pairwise(chain):
        missing = after.number - before.number - 1
        if missing < 0:
            yield f"{later.path}:1: inserted: {earlier.path} has the same place in its chain"
        elif missing == 0 and after.previous != earlier.last:
            place = f"{earlier.path}:{earlier.lines}"
            yield f"{place}: cut or edited: {later.path.name} follows another line than this, the last of its file"
        elif missing and removed.get((after.chain, after.number - 1)) != after.previous:
            yield f"{later.path}:1: deleted: {_missing(before.number + 1, after.number - 1)}"


def _missing(first: int, last: int) -> str:
    return (
        f"file {first} of its chain is missing"
        if first == last
        else f"files {first} to {last} of its chain are missing"
    )


def _unfound(place: Path, verdict: Verdict, removed: Known, keys: PublicKeys) -> Iterator[str]:
    """Say which heads of a second place are not in the log."""
    found = {signature for part in verdict.parts for signature in part.heads}
    at = {(part.begin.chain, part.begin.number): part for part in verdict.parts if part.begin}
    for number, line in enumerate(_lines(place), 1):
        if not line.startswith(HEAD):
            continue
        try:
            head = HeadLine.model_validate_json(line)
        except ValidationError:
            continue  # torn, as a crash or a full disk leaves it
        if head.previous is None or head.key not in keys:
            yield f"{place}:{number}: foreign key: it is none of the public keys that were given"
        elif not keys.holds(head.key, head.signature, head.signed(head.previous)):
            yield f"{place}:{number}: its signature does not hold"
        elif head.signature not in found and (head.chain, head.number) not in removed:
            part = at.get((head.chain, head.number))
            if part is not None and part.fault is not None:
                continue  # it is told already
            where = (
                f"{part.path} does not have them" if part else f"file {head.number} of chain {head.chain} is missing"
            )
            yield f"{place}:{number}: cut: {head.lines} lines were signed at {head.time:%Y-%m-%d %H:%M:%S}, but {where}"


def _removed(path: Path, keys: PublicKeys) -> Known:
    """Read the signed notes of files that retention has removed. What is no such note excuses nothing."""
    known: Known = {}
    for line in _lines(path) if path.exists() else ():
        try:
            note = RemovedLine.model_validate_json(line)
        except ValidationError:
            continue
        if note.key in keys and keys.holds(note.key, note.signature, note.signed()):
            known[note.chain, note.number] = note.last
    return known


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
