"""Tables of what grows, and of where time goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from bench.cells import new_table, ratio

Row = dict[str, Any]


def growth(rows: Sequence[Row]) -> Table:
    """Tabulate one kind of growth: rows of one `by`."""
    by = rows[0]["by"]
    if by.startswith("records"):
        table = new_table("decisions on record", "GB", "verify s", "one decision s")
        for row in rows:
            figures = f"{row['bytes'] / 1e9:,.2f}", f"{row['verify_seconds']:,.0f}", f"{row['decision_seconds']:.2f}"
            table.add_row(f"{row['value']:,}", *figures)
        return table
    if by == "rows":
        table = new_table("rows in a body", "applications/s", "p50 ms", "p99 ms", "errors")
        for row in rows:
            table.add_row(f"{row['value']:,}", f"{row['applications_per_second']['median']:,.0f}", *_latency(row))
        return table
    table = new_table(by, "requests/s", "p50 ms", "p99 ms", "errors", *(["ratio"] if by == "workers" else ["MB"]))
    for row in rows:
        last = ratio(row["ratio"]) if by == "workers" else f"{row['memory_mb']:.0f}"
        table.add_row(f"{row['value']:,}", f"{row['requests_per_second']['median']:,.0f}", *_latency(row), last)
    return table


def all_growth(rows: Sequence[Row]) -> Table:
    """Tabulate all kinds of growth, one below the other."""
    whole = Table.grid(padding=(1, 0))
    for by in dict.fromkeys(row["by"] for row in rows):
        whole.add_row(growth([row for row in rows if row["by"] == by]))
    return whole


def stages(rows: Sequence[Row]) -> Table:
    """Tabulate the share of requests' seconds that their stages explain."""
    table = new_table("route", "connections", "refused", "explained")
    for row in rows:
        name = f"{row['route']}, {row['name']}" if row["name"] else row["route"]
        table.add_row(name, str(row["connections"]), f"{row['refused']:.0%}", f"{row['explained']:.3f}")
    return table


def _latency(row: Row) -> tuple[str, str, str]:
    return f"{row['p50_ms']['median']:.2f}", f"{row['p99_ms']['median']:.2f}", str(row["non_2xx"] + row["failed"])
