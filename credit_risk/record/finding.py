"""Find one decision in a log, without an index.

Ids of decisions and names of the log's files tell times, so that nearly all of the files are ruled out unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from credit_risk.contract.errors import DataError
from credit_risk.contract.record import ArchivedLine, DecisionRecord, ImpersonalRecord, Kind
from credit_risk.record.encryption import ENCRYPTED
from credit_risk.record.keys import Keys
from credit_risk.record.reader import STDIN, Entry, ErasedEntry, content_of, files_of, parsed

# Seconds from when an id is made until its decision is on record. A request ends after `traffic.timeout`, which is 10
# seconds unless bentoconfiguration.yaml says otherwise; this leaves room for more, and for a clock that is put right.
SLACK = 300.0
NAME = re.compile(
    r"decisions-(?P<begun>\d{8}T\d{6}\.\d{6}Z)-"
    r"((?P<job>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-\d+|(?P<writer>.+))\.ndjson"
)
TIME_OF_ID = len("01a201d3-2b41")  # the first 48 bits, which the decisions of a job have from the job's id
PIECE = 2**20  # bytes


class Line(NamedTuple):
    """A line of a log, with its end if it has one."""

    file: Path
    number: int  # from 1
    content: bytes

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


def log_files(logs: Sequence[str]) -> list[Path]:
    """List the files of logs, each of which is a file or a folder. Raises DataError if there are none."""
    if STDIN in logs:
        raise DataError("a decision is looked up in files: save what comes from standard input to one, and name that")
    return [Path(file) for log in logs for file in files_of(log)]


def seconds_of(decision_id: str) -> float:
    """Tell when an id was made, in seconds since the epoch. Raises ValueError unless it is a UUID of version 7."""
    found = UUID(decision_id)
    if found.version != 7:
        raise ValueError(f"a UUID of version {found.version}")
    return (found.int >> 80) / 1000


def likely_files(files: Iterable[Path], decision_id: str) -> list[Path]:
    """Give the files that should hold the decision if it is in this log, the likeliest first.

    These are those of a job of the same time; of each writer the last that was begun by then, unless nothing was
    written to it since; those that were begun within the slack; and those whose names tell no time.
    """
    made = seconds_of(decision_id)
    of_job: list[Path] = []
    open_then: dict[tuple[Path, str], tuple[float, Path]] = {}
    begun_after: list[tuple[float, Path]] = []
    undated: list[Path] = []
    for file in files:
        name = NAME.fullmatch(file.name)
        begun = None if name is None else _begun(name["begun"])
        if name is None or begun is None:
            undated.append(file)
        elif name["job"]:
            if name["job"][:TIME_OF_ID] == decision_id[:TIME_OF_ID]:
                of_job.append(file)
        elif begun <= made:
            writer = file.parent, name["writer"]
            open_then[writer] = max(open_then.get(writer, (begun, file)), (begun, file))
        elif begun <= made + SLACK:
            begun_after.append((begun, file))
    written_to = [found for found in open_then.values() if last_written(found[1]) >= made - SLACK]
    dated = [*sorted(written_to, reverse=True), *sorted(begun_after)]
    return [*of_job, *(file for _, file in dated), *undated]


def find_decision(
    files: Iterable[Path], decision_id: str, read: Callable[[Path], None] = lambda _: None
) -> Line | None:
    """Look into files, in order, for the line of a decision, and call `read` after each of them.

    Raises DataError if one can't be read.
    """
    for file in files:
        line = find_line(file, b'"decision_id":"%b"' % decision_id.encode())
        if line is not None:
            return line
        read(file)
    return None


def find_line(file: Path, sought: bytes) -> Line | None:
    """Find the first line that holds these bytes. Raises DataError if the file can't be read."""
    return next(lines_with(file, sought), None)


def lines_with(file: Path, sought: bytes) -> Iterator[Line]:
    """Find the lines that hold these bytes, which are shorter than a piece. Raises DataError as `find_line` does."""
    try:
        with file.open("rb") as stream:
            if not stream.seek(0, 2):
                return
            with mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
                counted, end, number = 0, 0, 1
                while (at := _find(content, sought, end)) >= 0:
                    begin, end = content.rfind(b"\n", 0, at) + 1, content.find(b"\n", at) + 1 or len(content)
                    number += sum(
                        content[piece : min(piece + PIECE, begin)].count(b"\n")
                        for piece in range(counted, begin, PIECE)
                    )
                    counted = begin
                    yield Line(file, number, content[begin:end])
    except FileNotFoundError:  # it has just been removed, as too old
        return
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}") from None


def _find(content: mmap, sought: bytes, begin: int) -> int:
    """Find bytes piece by piece, so that other threads get on in between. -1 if they are not there."""
    for piece in range(begin, len(content), PIECE):
        at = content.find(sought, piece, piece + PIECE + len(sought) - 1)
        if at >= 0:
            return at
    return -1


def opened(line: Line, keys: Keys) -> Line | None:
    """Decrypt a line if it is encrypted. None if its key was erased, or is lost.

    Raises DataError if others may read the keys.
    """
    if ENCRYPTED not in line.content or not line.content.endswith(b"\n"):
        return line
    content = keys.opened(str(line.file), line.content)
    return None if content is None else line._replace(content=content)


def entry_of(line: Line) -> Entry:
    """Read the line of a decision. Raises DataError that names its place and what is wrong with it."""
    record = parsed(line.content, line.place, DecisionRecord)
    if record is None:
        raise DataError(
            f"{line.place} has this decision, but the line is torn, as a crash leaves the last one of a file"
        )
    return Entry(line.place, len(line.content), record)


def left_of(line: Line) -> ErasedEntry:
    """Read what is not encrypted of the line of a decision. Raises DataError as `entry_of` does."""
    record = parsed(line.content, line.place, ImpersonalRecord)
    assert record is not None  # it is not torn, or it would have been no encrypted line
    return ErasedEntry(line.place, len(line.content), record)


def told_beside(line: Line, record: ImpersonalRecord) -> dict[tuple[Kind, str], bytes]:
    """Find the policy and the catalogue of a decision in its file, where a log that was a stream has them.

    Files that were written to a folder have them in its archive, and are not read again.
    """
    if NAME.fullmatch(line.file.name):
        return {}
    named: dict[Kind, str] = {"policy": record.policy, "catalogue": record.catalogue}
    found: dict[tuple[Kind, str], bytes] = {}
    for kind, name in named.items():
        told = find_line(line.file, f'"archive":"{kind}","sha256":"{name}"'.encode())
        archived = told and parsed(told.content, told.place, ArchivedLine)
        if told and archived and (content := content_of(archived, told.place)) is not None:
            found[kind, archived.sha256] = content
    return found


def _begun(text: str) -> float | None:
    with suppress(ValueError):
        return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()
    return None


def last_written(file: Path) -> float:
    """Tell when a file was last written to, as Unix time; 0 if it is gone."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
