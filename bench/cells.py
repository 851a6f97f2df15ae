"""What the tables of results are made of."""

from __future__ import annotations

from rich.table import Table


def new_table(*headings: str) -> Table:
    """Make a table with the first column to the left and the others to the right."""
    table = Table()
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def ratio(spread: dict[str, float]) -> str:
    """Show a ratio with its quartiles."""
    return f"{spread['median']:.2f} ({spread['lower']:.2f} to {spread['upper']:.2f})"
