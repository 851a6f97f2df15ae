"""The results as tables: for the terminal, and as Markdown for the README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.architectures import original
from bench.cells import new_table
from bench.experiment import Row
from bench.tables import as_markdown, on_machine

RESULTS = Path(__file__).parent / "results"
COLUMNS = {"requests_per_second": "{:,.0f}", "p50_ms": "{:g}", "p95_ms": "{:g}", "p99_ms": "{:g}", "failures": "{}"}


def load_results(experiment: str) -> Any:
    """Read the results of an experiment."""
    return json.loads((RESULTS / f"{experiment}.json").read_text())


def measured_on(experiment: str) -> str:
    """Say on which machine an experiment ran, how many threads gunicorn had, and for how long the most was held."""
    content = load_results(experiment)
    held_for = f"; held for {content['hold']:g} s" if "hold" in content else ""
    return f"{on_machine(content['machine'])}; {content['threads']} threads for each worker of gunicorn{held_for}"


def held(kind: str) -> str:
    """Tabulate the most that holds, and the breaking point, as Markdown."""
    return as_markdown(held_table(load_results(kind)["rows"], with_original=kind == "sleeping"))


def low_and_stress(kind: str) -> str:
    """Tabulate low traffic, and twice the load of the breaking point, as Markdown."""
    rows = {row["name"]: row for row in load_results(kind)["rows"]} | (original.SWARM if kind == "sleeping" else {})
    table = new_table(
        "", "low: p50 ms", "p95 ms", "p99 ms", "stress: requests/s", "p50 ms", "p95 ms", "p99 ms", "errors"
    )
    for name, row in rows.items():
        table.add_row(name, *_cells(row["low"], "p50_ms", "p95_ms", "p99_ms"), *_cells(row["stress"], *COLUMNS))
    return as_markdown(table)


def times(kind: str) -> str:
    """Tabulate single calls as Markdown."""
    return as_markdown(times_table(load_results("timeit")["kinds"][kind]))


def held_table(rows: Sequence[Row], *, with_original: bool = False) -> Table:
    """Tabulate each architecture at the most that holds."""
    headings = (
        "requests/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "errors",
        "breaking point",
        "broken by",
        "CPU ms a request",
        "MB",
        "locust's cores",
    )
    table = new_table("", *headings)
    for row in rows:
        point = f"{row['breaking_point']:,}" if row["breaking_point"] else f"above {row['steps'][-1]['users']:,}"
        spent = f"{sum(row['processor_ms'].values()):.2f}"
        cells = _cells(row["held"], *COLUMNS)
        cores = f"{row['held']['generator_cores']:.2f}"
        table.add_row(row["name"], *cells, point, row["broken_by"], spent, str(row["memory_mb"]), cores)
    for name, figures in original.SWARM.items() if with_original else ():
        table.add_row(name, *_cells(figures["held"], *COLUMNS), str(figures["breaking_point"]), "by eye", "", "", "")
    return table


def times_table(rows: Sequence[Row]) -> Table:
    """Tabulate single calls, and how much of the others' time each saves."""
    names = [row["name"] for row in rows]
    peers = names[:2]
    table = new_table("", "median ms", "quartiles", *(f"faster than {name}" for name in peers))
    for number, row in enumerate(rows):
        saved = [_percentage(row["faster_than"][name]) if name in names[:number] else "" for name in peers]
        quartiles = f"{row['ms']['lower']:.1f} to {row['ms']['upper']:.1f}"
        table.add_row(row["name"], f"{row['ms']['median']:.1f}", quartiles, *saved)
    return table


def _cells(figures: Mapping[str, float], *names: str) -> list[str]:
    return [COLUMNS[name].format(figures[name]) for name in names]


def _percentage(saved: Mapping[str, float]) -> str:
    return f"{saved['median']:.0%} ({saved['lower']:.0%} to {saved['upper']:.0%})"
