"""Read the decision log back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import ValidationError

from credit_risk.contract.errors import DataError
from credit_risk.contract.record import DecisionRecord
from credit_risk.record.files import FILES

STDIN = "-"


class Entry(NamedTuple):
    """A record and its place."""

    place: str  # file:line
    size: int  # bytes
    record: DecisionRecord


class LogReader:
    """Reads the records of files, of folders of files, and of standard input, one after the other."""

    def __init__(self, logs: Sequence[str], *, lenient: bool) -> None:
        """`lenient` skips lines that are no records. Raises DataError if there is nothing to read."""
        self._files = [file for log in logs for file in _files_of(log)]
        self._lenient = lenient
        self.size = None if STDIN in self._files else sum(Path(file).stat().st_size for file in self._files)
        self.skipped = 0
        self.torn: list[str] = []  # places of last lines that a crash cut off

    def entries(self) -> Iterator[Entry]:
        """Read the records. Raises DataError that names the file, the line and the fields at fault, but no value."""
        for file in self._files:
            lenient, name = self._lenient or file == STDIN, "standard input" if file == STDIN else file
            try:
                with _opened(file) as stream:
                    for number, line in enumerate(stream, 1):
                        if lenient and not (line.startswith(b"{") and b'"schema"' in line):
                            self.skipped += 1
                        elif record := self._record(line, f"{name}:{number}"):
                            yield Entry(f"{name}:{number}", len(line), record)
            except OSError as error:
                raise DataError(f"{name} can't be read: {error.strerror}") from None

    def _record(self, line: bytes, place: str) -> DecisionRecord | None:
        try:
            return DecisionRecord.model_validate_json(line)
        except ValidationError as error:
            faults = error.errors(include_input=False, include_context=False)
        if faults[0]["type"] == "json_invalid" and not line.endswith(b"\n"):
            self.torn.append(place)
            return None
        found = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'the line'}: {fault['msg']}" for fault in faults)
        raise DataError(f"{place} is not a decision record: {found}")


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb")


def _files_of(log: str) -> list[str]:
    if log == STDIN or (Path(log).exists() and not Path(log).is_dir()):
        return [log]
    files = sorted(map(str, Path(log).glob(FILES)))  # by time
    if not files:
        raise DataError(f"there is no decision log {log}: it is neither a file nor a folder with files {FILES}")
    return files
