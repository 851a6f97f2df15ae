"""Whom an applicant is compared with: the typical applicant who just passed, by the policy's cutoff of review."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self


class Reference(NamedTuple):
    """A typical applicant among those who would just pass a review cutoff."""

    review_above: float  # the lowest cutoff that it is for; the next reference begins where its own does
    applicant: Mapping[str, Any]  # its fields: the middle number or the most frequent word


class References:
    """The references of a model, for any cutoff."""

    def __init__(self, references: Sequence[Reference]) -> None:
        """Take one or more, by rising cutoff. The first is for all cutoffs below the second's."""
        self._references = references
        self._cutoffs = [reference.review_above for reference in references]

    @classmethod
    def of(cls, metadata: Sequence[Mapping[str, Any]]) -> Self:
        """Read them from a model's metadata."""
        return cls([Reference(**described) for described in metadata])

    def place_for(self, review_above: float) -> int:
        """Find the place of the reference for a cutoff."""
        return max(0, bisect_right(self._cutoffs, review_above) - 1)

    def __getitem__(self, place: int) -> Reference:
        return self._references[place]
