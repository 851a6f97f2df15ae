"""The decision log, read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click
from pydantic import ValidationError

from credit_risk.contract.errors import DataError
from credit_risk.contract.record import DecisionRecord

STDIN = "-"


class Entry(NamedTuple):
    """A record, and where it stands."""

    place: str  # file:line
    size: int  # bytes
    record: DecisionRecord


class LogReader:
    """Records of files, of folders of them and of standard input, one after the other."""

    def __init__(self, logs: Sequence[str], *, lenient: bool) -> None:
        """`lenient`: skip lines that are no records. Raises DataError where there is nothing to read."""
        self._files = [file for log in logs for file in _files_of(log)]
        self._lenient = lenient
        self.size = None if STDIN in self._files else sum(Path(file).stat().st_size for file in self._files)
        self.skipped = 0
        self.torn: list[str] = []  # last lines that a crash cut off

    def entries(self) -> Iterator[Entry]:
        """Raises DataError that names the file, the line and the fields at fault, but no value."""
        for file in self._files:
            lenient, name = self._lenient or file == STDIN, "standard input" if file == STDIN else file
            try:
                with click.open_file(file, "rb") as stream:
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


def _files_of(log: str) -> list[str]:
    if log == STDIN or (Path(log).exists() and not Path(log).is_dir()):
        return [log]
    files = sorted(map(str, Path(log).glob("decisions-*.ndjson")))  # by time
    if not files:
        raise DataError(f"there is no decision log {log}: neither a file nor a folder with files decisions-*.ndjson")
    return files
