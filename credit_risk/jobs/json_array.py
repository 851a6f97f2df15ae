"""A JSON array in a file of any size, as NDJSON: an item a line, in order."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.blocks import reading

PIECE = 2**20  # characters
LONGEST_ITEM = 1_000_000  # characters
_SPACE = re.compile(r"[ \t\r\n]*")
_IS_NONE = "is not a JSON array; send [...], or one JSON object a line as application/x-ndjson"


def split_array(path: Path, lines: Path) -> Path:
    """Write the items of the array in `path` to `lines`, unless they are there. Raises DataError if it is none."""
    if not lines.exists():
        part = lines.with_name(f".{lines.name}.{os.getpid()}.part")
        try:
            with reading(path), path.open(encoding="utf-8-sig") as array, part.open("w", encoding="utf-8") as file:
                file.writelines(item.translate({10: " ", 13: " "}) + "\n" for item in _Items(array, path))
            part.replace(lines)
        finally:
            part.unlink(missing_ok=True)
    return lines


class _Items:
    """The texts of the items of an array."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text = ""  # read and not taken yet
        self._at = 0
        self._has_ended = False

    def __iter__(self) -> Iterator[str]:
        if self._next() != "[":
            raise DataError(f"{self._path} {_IS_NONE}")
        self._at += 1
        if self._next() == "]":
            self._at += 1
        else:
            yield from self._all()
        if self._next():
            raise DataError(f"{self._path} goes on behind its JSON array; leave that out")

    def _all(self) -> Iterator[str]:
        number = 0
        separator = ","
        while separator == ",":
            number += 1
            self._next()
            yield self._item(number)
            separator = self._next()
            self._at += 1
        if separator != "]":
            raise DataError(f"{self._path} {'lacks a comma behind' if separator else 'ends behind'} item {number}")

    def _item(self, number: int) -> str:
        """Take an item, together with the character behind it, because a number may go on."""
        while True:
            end: int | None = None
            with suppress(ValueError, RecursionError):
                _, end = json.JSONDecoder().raw_decode(self._text, self._at)
            is_whole = end is not None and end < len(self._text)
            if is_whole or self._has_ended or len(self._text) - self._at > LONGEST_ITEM:
                break
            self._read()
        if end is None:
            raise DataError(f"item {number} of {self._path} is not JSON; put it right, or take it out")
        item, self._at = self._text[self._at : end], end
        return item

    def _next(self) -> str:
        """Find the next character that is no space, without taking it; "" if there is none."""
        while True:
            found = _SPACE.match(self._text, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._has_ended:
                return ""
            self._read()

    def _read(self) -> None:
        piece = self._file.read(PIECE)
        self._has_ended = not piece
        self._text, self._at = self._text[self._at :] + piece, 0
