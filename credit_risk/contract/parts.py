"""A JSON array in parts, so that other requests are answered while a long one is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from credit_risk.contract.application import FIELDS
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH, TOO_LONG, summary

T = TypeVar("T")

PART_BYTES = 8_192  # parsed in one go: some 40 applications, a tenth of a millisecond
_ARRAY_START = re.compile(rb"[ \t\n\r]*\[[ \t\n\r]*")
_BETWEEN = {
    b"}": re.compile(rb"[ \t\n\r]*,[ \t\n\r]*(?=\{)"),
    b"]": re.compile(rb"[ \t\n\r]*,[ \t\n\r]*(?=\[)"),
}


class MostTokens(NamedTuple):
    """How many tokens are read, so that a fault is told in milliseconds."""

    part: int
    whole: int  # to tell the place of a fault in it


OBJECTS = MostTokens(part=4_000, whole=200_000)  # a part has about 1,000
ROWS = MostTokens(part=10_000, whole=400_000)  # a part has up to 8,500, if its numbers have one digit


def parts_of(body: bytes, closing: bytes = b"}") -> Iterator[bytes]:
    """Split a JSON array of flat objects, or of flat arrays, into arrays of about PART_BYTES each.

    Only ids of the lender may contain a brace or a bracket. Else each closing one ends an item, so that if the array is
    invalid, one of its parts is, too.
    """
    start = _ARRAY_START.match(body)
    if start is None:
        yield body
        return
    position = start.end()
    least, misses = position + PART_BYTES, 0  # where the part may end, and how often something else ended
    while (end := body.find(closing, least)) >= 0:
        between = _BETWEEN[closing].match(body, end + 1)
        if between is None:  # it stands in an id of the lender, or ends the array
            least, misses = end + 1, misses + 1
            if misses > MAX_BATCH:
                break
            continue
        yield b"[" + body[position : end + 1] + b"]"
        position = between.end()
        least = position + PART_BYTES
    yield b"[" + body[position:]


def parse_parts(
    body: bytes,
    parts: Iterable[bytes],
    parse: Callable[[bytes], Sequence[T]],
    parse_whole: Callable[[bytes], Sequence[T]],
    most_tokens: MostTokens,
) -> Iterator[Sequence[T]]:
    """Parse the parts of a body in order, at most MAX_BATCH items in all.

    If a part is no JSON, the body is parsed as a whole, to tell the line and column of the fault in it.

    Raises InvalidRequestError with positions in the whole.
    """
    found = 0
    for part in parts:
        try:
            check_size(part, most_tokens.part)
            items = parse(part)
        except InvalidRequestError as error:
            if error.detail[0]["type"] == "json_invalid" and tokens(body) <= most_tokens.whole:
                yield parse_whole(body)[found:]
                return
            raise from_position(error, found) from None
        found += len(items)
        check_count(found)
        yield items


def check_count(found: int) -> None:
    """Refuse too many applications."""
    if found > MAX_BATCH:
        raise InvalidRequestError("Too many applications", [Detail(loc=[], msg=TOO_LONG, type="too_long")])


def check_size(body: bytes, most_tokens: int) -> None:
    """Refuse what holds so much that even to say what is wrong with it would take seconds and gigabytes."""
    if tokens(body) > most_tokens:
        detail = Detail(
            loc=[], msg=f"send the {len(FIELDS)} fields of an application, and nothing else", type="too_long"
        )
        raise InvalidRequestError("The body is not a credit application", [detail])


def tokens(body: bytes) -> int:
    """Count what separates and opens values. An application has 13 of these, whatever its layout."""
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def from_position(error: InvalidRequestError, first: int) -> InvalidRequestError:
    """Restate the error of a part that begins at position `first` of the whole."""
    located = [detail["loc"] for detail in error.detail if detail["loc"]]
    if not located:
        return error
    for loc in located:
        if isinstance(loc[0], int):
            loc[0] += first
    return InvalidRequestError(summary(error.detail, len(error.detail)), error.detail)
