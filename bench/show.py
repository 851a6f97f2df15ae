"""Results as tables and pictures."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.peer import OURS
from bench.plot import draw

console = Console(width=160)


def shown(spread: dict[str, float], digits: int = 0) -> str:
    return f"{spread['median']:,.{digits}f} ({spread['least']:,.{digits}f}-{spread['most']:,.{digits}f})"


def show_throughput(rows: list[dict[str, Any]], results: Path) -> None:
    table = Table(title="median of the rounds (least-most)")
    for heading in ("", "connections", "requests/s", "p50 ms", "p99 ms", "ours is", "errors", "memory MB", "largest"):
        table.add_column(heading, justify="right" if heading else "left")
    ours = {row["connections"]: row["requests_per_second"]["median"] for row in rows if row["peer"] == OURS.name}
    for row in sorted(rows, key=lambda row: row["connections"]):
        rate = row["requests_per_second"]
        table.add_row(
            row["peer"],
            str(row["connections"]),
            shown(rate),
            shown(row["p50_ms"], 2),
            shown(row["p99_ms"], 2),
            f"{ours[row['connections']] / rate['median']:.2f}x",
            str(row["non_2xx"] + row["failed"]),
            f"{row['memory_mb']['median']:.0f}",
            f"{row['largest_process_mb']['median']:.0f}",
        )
    console.print(table)

    def series(figure: str) -> dict[str, dict[float, float]]:
        names = dict.fromkeys(row["peer"] for row in rows)
        return {n: {row["connections"]: row[figure]["median"] for row in rows if row["peer"] == n} for n in names}

    panels = [
        ("Throughput", "requests a second", series("requests_per_second")),
        ("Latency that 99 % stay below", "milliseconds", series("p99_ms")),
    ]
    draw(results / "throughput.png", panels, x="connections")


def show_batching(rows: list[dict[str, Any]], results: Path) -> None:
    table = Table(title="this service by max_batch_size; 1 is batching off; median of the rounds (least-most)")
    for heading in ("max_batch_size", "connections", "requests/s", "p50 ms", "p99 ms", "errors"):
        table.add_column(heading, justify="right")
    for row in sorted(rows, key=lambda row: (row["connections"], row["max_batch_size"])):
        figures = (shown(row["requests_per_second"]), shown(row["p50_ms"], 2), shown(row["p99_ms"], 2))
        errors = str(row["non_2xx"] + row["failed"])
        table.add_row(str(row["max_batch_size"]), str(row["connections"]), *figures, errors)
    console.print(table)

    def series(figure: str) -> dict[str, dict[float, float]]:
        found: dict[str, dict[float, float]] = {}
        for row in sorted(rows, key=lambda row: (row["connections"], row["max_batch_size"])):
            found.setdefault(f"{row['connections']} connections", {})[row["max_batch_size"]] = row[figure]["median"]
        return found

    panels = [
        ("Throughput", "requests a second", series("requests_per_second")),
        ("Latency that 99 % stay below", "milliseconds", series("p99_ms")),
    ]
    draw(results / "batching.png", panels, x="max_batch_size", log_y=False)


def show_accountable(rows: list[dict[str, Any]], _: Path) -> None:
    table = Table(title="64 connections; median of the rounds (least-most)")
    for heading in ("with", "requests/s", "p50 ms", "p99 ms", "errors"):
        table.add_column(heading, justify="right" if heading != "with" else "left")
    for row in rows:
        figures = (shown(row["requests_per_second"]), shown(row["p50_ms"], 2), shown(row["p99_ms"], 2))
        table.add_row(row["with"], *figures, str(row["non_2xx"] + row["failed"]))
    console.print(table)
    both, _reasons, neither, fastapi = (row["requests_per_second"]["median"] for row in rows)
    console.print(f"both: {both / neither:.2f} of neither, {both / fastapi:.2f} times FastAPI")


def show_large_batches(rows: list[dict[str, Any]], _: Path) -> None:
    rates = {row["peer"]: row["applications_per_second"] for row in rows if "peer" in row}
    for name, rate in rates.items():
        console.print(f"{name}: {shown(rate)} applications/s in 1,000-row bodies")
    first, second = (rate["median"] for rate in rates.values())
    console.print(f"ratio {first / second:.2f}")
    for row in rows:
        if "single requests" in row:
            console.print(f"single requests {row['single requests']}: p99 {shown(row['p99_ms'], 2)} ms")
    console.print(f"ratio of the rounds {shown(rows[-1]['p99 beside large batches, of alone'], 2)}")


def show_open_loop(rows: list[dict[str, Any]], results: Path) -> None:
    table = Table(title="a quarter of a core, one worker; medians of the rounds")
    headings = ("of saturation", "due/s", "decided/s", "share", "p50 ms", "p99 ms")
    for heading in (*headings, "503", "wrong", "unsent", "MB +", "recovery s"):
        table.add_column(heading, justify="right")
    middle: dict[float, dict[str, float]] = {}
    for share in dict.fromkeys(row["of saturation"] for row in rows):
        same = [row for row in rows if row["of saturation"] == share]
        middle[share] = {figure: median(row[figure] for row in same) for figure in ("goodput", "p50_ms", "p99_ms")}
        of_saturation = median(row["goodput of saturation"] for row in same)
        grown = median(row["memory_mb"]["after"] - row["memory_mb"]["before"] for row in same)
        table.add_row(
            f"{share:g}",
            f"{median(row['of saturation'] * row['saturation'] for row in same):,.0f}",
            f"{middle[share]['goodput']:,.0f}",
            f"{of_saturation:.2f}",
            f"{middle[share]['p50_ms']:.1f}",
            f"{middle[share]['p99_ms']:.1f}",
            *(f"{sum(row[figure] for row in same):,}" for figure in ("refused", "wrong", "unsent")),
            f"{grown:.1f}",
            f"{median(row['recovery_seconds'] for row in same):.1f}",
        )
    console.print(table)
    panels = [
        ("Decisions", "a second", {"decided": {share: row["goodput"] for share, row in middle.items()}}),
        (
            "Latency from the moment a request is due",
            "milliseconds",
            {name: {share: row[name] for share, row in middle.items()} for name in ("p50_ms", "p99_ms")},
        ),
    ]
    draw(results / "open-loop.png", panels, x="load, of saturation")


def show_containers(rows: list[dict[str, Any]], _: Path) -> None:
    table = Table(title="containers at 64 connections")
    for heading in ("", "cores", "memory", "ready s", "requests/s", "p50 ms", "p99 ms", "errors", "MB"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows[:-1]:
        table.add_row(
            row["design"],
            f"{row['cores']:g}",
            row["memory"],
            shown(row["seconds_to_ready"], 1),
            f"{row['requests_per_second']['median']:,.0f}",
            f"{row['p50_ms']['median']:.1f}",
            f"{row['p99_ms']['median']:.1f}",
            str(row["non_2xx"] + row["failed"]),
            f"{row['memory_mb']:.0f}",
        )
    console.print(table)
    console.print({"the smallest at four times saturation": rows[-1]})


SHOW = {
    "throughput": show_throughput,
    "accountable": show_accountable,
    "batching": show_batching,
    "large-batches": show_large_batches,
    "open-loop": show_open_loop,
    "containers": show_containers,
}
