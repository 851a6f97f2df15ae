"""A what-if as tables."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from credit_risk.contract.decision import STATUSES, Status
from credit_risk.model.stability import stability_index, stability_verdict
from credit_risk.replay.what_if import WhatIf

# Which decisions a row is about, by status on record and new status, and whether their expectation is the recorded one.
_ROWS: tuple[tuple[str, Callable[[Status, Status], bool], bool], ...] = (
    ("approved on record", lambda old, _: old == "APPROVED", True),
    ("approved anew", lambda _, new: new == "APPROVED", False),
    ("newly approved", lambda old, new: old != "APPROVED" and new == "APPROVED", False),
    ("no longer approved", lambda old, new: old == "APPROVED" and new != "APPROVED", False),
    ("all on record", lambda *_: True, True),
    ("all anew", lambda *_: True, False),
)


def show_what_if(what_if: WhatIf, console: Console) -> None:
    """Print the swap set, the figures before and after, and how far the scores have moved."""
    swaps = Table("", *STATUSES, title=f"{what_if.n:,} decisions", caption="rows: on record; columns: anew")
    for status in STATUSES:
        swaps.add_row(status, *(f"{what_if.swaps[status, new].n:,}" for new in STATUSES))
    figures = Table("", "decisions", "share", "expected bad")
    if what_if.outcomes:
        figures.add_column("observed bad")
    for name, is_in, by_record in _ROWS:
        group = what_if.where(is_in)
        expected = _percent(group.recorded_pd if by_record else group.new_pd, group.n)
        cells = [name, f"{group.n:,}", _percent(group.n, what_if.n), expected]
        if what_if.outcomes:
            cells.append(f"{_percent(group.bad, group.known)} of {group.known:,}")
        figures.add_row(*cells)
    index = stability_index(*what_if.scores)
    console.print(swaps, figures, "Expected bad is the mean probability of default, on record or anew.")
    console.print(
        f"Population stability index of the score: {index:.4f}, {stability_verdict(index, what_if.n)}", highlight=False
    )


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.2%}" if whole else "-"
