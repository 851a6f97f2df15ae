"""Read the decision log back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from credit_risk.contract.errors import DataError
from credit_risk.contract.record import ArchivedLine, DecisionRecord, ImpersonalRecord, Kind
from credit_risk.record.encryption import ENCRYPTED
from credit_risk.record.keys import Keys
from credit_risk.record.retention import FILES

STDIN = "-"
ARCHIVED = b'"archive":'  # as a key: within a record's texts its quotation marks are escaped
REVIEW, OUTCOME = b'{"schema":2,"review_id":', b'{"schema":2,"outcome_id":'
OTHERS = (b'{"schema":2,"seal":', REVIEW, OUTCOME)  # lines of other kinds

L = TypeVar("L", bound=BaseModel)


class Entry(NamedTuple):
    """A record and its place."""

    place: str  # file:line
    size: int  # bytes
    record: DecisionRecord


class ErasedEntry(NamedTuple):
    """What is left of a record that was erased, or whose key is lost."""

    place: str
    size: int
    record: ImpersonalRecord


class LogReader:
    """Reads the records of files, of folders of files, and of standard input, one after the other."""

    def __init__(self, logs: Sequence[str], *, lenient: bool) -> None:
        """`lenient` skips lines that are no records. Raises DataError if there is nothing to read."""
        self._files = [file for log in logs for file in files_of(log)]
        self._lenient = lenient
        self.size = None if STDIN in self._files else sum(Path(file).stat().st_size for file in self._files)
        self.skipped = 0
        self.keys = Keys()  # of encrypted records
        self.torn: list[str] = []  # places of last lines that a crash cut off
        self.archived: dict[tuple[Kind, str], bytes] = {}  # what was read of policies and catalogues, by their sha256

    @property
    def folders(self) -> list[Path]:
        """Where the files are."""
        return list(dict.fromkeys(Path(file).parent for file in self._files if file != STDIN))

    def entries(self) -> Iterator[Entry]:
        """Read the records. Raises DataError that names the file, the line and the fields at fault, but no value."""
        for file in self._files:
            lenient, name = self._lenient or file == STDIN, "standard input" if file == STDIN else file
            try:
                with _opened(file) as stream:
                    for number, line in enumerate(stream, 1):
                        if lenient and not (line.startswith(b"{") and b'"schema"' in line):
                            self.skipped += 1
                        elif line.startswith(OTHERS):
                            continue
                        elif ARCHIVED in line:
                            self._archive(line, f"{name}:{number}")
                        else:
                            opened = self.keys.opened(file, line) if ENCRYPTED in line else line
                            record = opened and self._parsed(opened, f"{name}:{number}", DecisionRecord)
                            if record:
                                yield Entry(f"{name}:{number}", len(line), record)
            except OSError as error:
                raise DataError(f"{name} can't be read: {error.strerror}") from None

    def _archive(self, line: bytes, place: str) -> None:
        found = self._parsed(line, place, ArchivedLine)
        if found is not None and (content := content_of(found, place)) is not None:
            self.archived[found.archive, found.sha256] = content

    def _parsed(self, line: bytes, place: str, kind: type[L]) -> L | None:
        found = parsed(line, place, kind)
        if found is None:
            self.torn.append(place)
        return found


def parsed(line: bytes, place: str, kind: type[L]) -> L | None:
    """Read a line, or give None if it is torn. Raises DataError that names the fields at fault, but no value."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_context=False)
    if faults[0]["type"] == "json_invalid" and not line.endswith(b"\n"):
        return None
    found = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'the line'}: {fault['msg']}" for fault in faults)
    raise DataError(f"{place} is not a decision record: {found}")


def content_of(line: ArchivedLine, place: str) -> bytes | None:
    """Give the content of a policy or a catalogue; a model has none. Raises DataError if it was changed."""
    if line.content is None:
        return None
    content = line.content.encode()
    if sha256(content).hexdigest() != line.sha256:
        raise DataError(f"{place} was changed: the {line.archive} is not the one of its sha256")
    return content


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb")


def files_of(log: str) -> list[str]:
    """List the files of a log, which is a file, a folder, or standard input. Raises DataError if there are none."""
    if log == STDIN or (Path(log).exists() and not Path(log).is_dir()):
        return [log]
    files = sorted(map(str, Path(log).glob(FILES)))  # by time
    if not files:
        raise DataError(f"there is no decision log {log}: it is neither a file nor a folder with files {FILES}")
    return files
