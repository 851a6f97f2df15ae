"""Results as tables: for the terminal, and as Markdown for the docs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench import growth_tables, machine
from bench.cells import new_table, ratio
from credit_risk.serving.settings import PROJECT

RESULTS = PROJECT / "bench" / "results"
Row = dict[str, Any]
LIMIT = "a constant answer: the limit"


def load_results(experiment: str) -> Any:
    """Read the results of an experiment from bench/results."""
    return json.loads((RESULTS / f"{experiment}.json").read_text())


def write_results(experiment: str, rows: Sequence[Row], folder: Path, more: dict[str, Any]) -> None:
    """Write the results of an experiment, with the machine."""
    content = {"experiment": experiment, **more, "machine": machine.describe(), "rows": rows}
    (folder / f"{experiment}.json").write_text(json.dumps(content, indent=1) + "\n")


def growth_markdown(by: str) -> str:
    """Give the table of one kind of growth as Markdown."""
    return as_markdown(growth_tables.growth([row for row in load_results("growth")["rows"] if row["by"] == by]))


def markdown(experiment: str, **selection: Any) -> str:
    """Give the table of an experiment as Markdown. `selection` picks rows, such as connections=64."""
    rows = [row for row in load_results(experiment)["rows"] if selection.items() <= row.items()]
    return as_markdown(TABLES[experiment](rows))


def as_markdown(table: Table) -> str:
    """Write a table as Markdown."""
    table = copy(table)
    table.box, table.title = box.MARKDOWN, None
    text = io.StringIO()
    Console(file=text, width=250).print(table)
    return "\n".join(line.strip() for line in text.getvalue().splitlines() if line.strip())


def measured_on(experiment: str) -> str:
    """Say on which machine and with which versions an experiment ran."""
    results = load_results(experiment)
    sent = results.get("sent")
    mix = f"; {sent['not_approved']:.0%} of the applications not approved" if sent else ""
    return on_machine(results["machine"]) + mix


def on_machine(machine: dict[str, str]) -> str:
    """Say on which machine something was measured."""
    return f"{machine['processor']}, {machine['system']}, Python {machine['python']}, {machine['date']}"


def compared(rows: Sequence[Row], name: str = "") -> Table:
    """Tabulate services that were loaded in turn."""
    several = len({row["connections"] for row in rows}) > 1
    table = new_table(
        name, *(["connections"] if several else []), "requests/s", "p50 ms", "p99 ms", "ratio", "errors", "MB"
    )
    for row in rows:
        cells = [row["name"], *([str(row["connections"])] if several else [])]
        figures = [f"{row['requests_per_second']['median']:,.0f}", _ms(row["p50_ms"]), _ms(row["p99_ms"])]
        errors = str(row["non_2xx"] + row["failed"])
        table.add_row(*cells, *figures, ratio(row["ratio"]), errors, f"{row['memory_mb']:.0f}")
    return table


def features(rows: Sequence[Row]) -> Table:
    """Tabulate feature stores, with what each batch asked of them."""
    table = new_table("fields from", "requests/s", "p50 ms", "p99 ms", "ratio", "errors", "MGETs a batch", "in memory")
    for row in rows:
        figures = [f"{row['requests_per_second']['median']:,.0f}", _ms(row["p50_ms"]), _ms(row["p99_ms"])]
        asked = (f"{row['mgets_per_batch']:.2f}", f"{max(0, row['in_memory']):.0%}") if "in_memory" in row else ("", "")
        table.add_row(row["name"], *figures, ratio(row["ratio"]), str(row["non_2xx"] + row["failed"]), *asked)
    return table


def sockets(rows: Sequence[Row]) -> Table:
    """Tabulate sockets with the share of the processor time that the busier worker took."""
    table = new_table("", "connections", "requests/s", "p99 ms", "ratio", "busier worker: median", "most")
    for row in rows:
        shares = [max(spent) / max(sum(spent), 0.01) for spent in row["processor_seconds"]]
        figures = f"{row['requests_per_second']['median']:,.0f}", _ms(row["p99_ms"]), ratio(row["ratio"])
        table.add_row(row["name"], str(row["connections"]), *figures, f"{median(shares):.0%}", f"{max(shares):.0%}")
    return table


def large_batches(rows: Sequence[Row]) -> Table:
    """Tabulate batches, and single requests beside them."""
    table = new_table("", "median", "quartiles")
    for row in rows:
        if "peer" in row:
            table.add_row(
                f"{row['peer']}: applications/s in bodies of 1,000", *_both(row["applications_per_second"], 0)
            )
        elif "single requests" in row:
            table.add_row(f"p99 ms of single requests {row['single requests']}", *_both(row["p99_ms"], 2))
        else:
            table.add_row(next(iter(row)), *_both(next(iter(row.values())), 2))
    return table


def jobs(rows: Sequence[Row]) -> Table:
    """Tabulate single requests beside a job."""
    table = new_table("load of single requests", "p99 ms alone", "beside a job", "ratio", "the job's rows/s")
    for row in rows:
        is_loaded = "ratio" in row
        p99 = (_ms(row["p99_ms_alone"]), _ms(row["p99_ms_beside"]), ratio(row["ratio"])) if is_loaded else ("", "", "")
        table.add_row(row["load"], *p99, f"{row['rows_per_second']:,.0f}")
    return table


def open_loop(rows: Sequence[Row]) -> Table:
    """Tabulate fixed rates by their share of what saturates the service."""
    table = new_table("of saturation", "due/s", "decided/s", "p50 ms", "p99 ms", "503", "wrong", "unsent", "recovery s")
    for share in dict.fromkeys(row["of saturation"] for row in rows):
        same = [row for row in rows if row["of saturation"] == share]
        figures = {name: median(row[name] for row in same) for name in ("goodput", "p50_ms", "p99_ms", "saturation")}
        table.add_row(
            f"{share:g}",
            f"{share * figures['saturation']:,.0f}",
            f"{figures['goodput']:,.0f}",
            f"{figures['p50_ms']:.1f}",
            f"{figures['p99_ms']:.1f}",
            *(f"{sum(row[name] for row in same):,}" for name in ("refused", "wrong", "unsent")),
            f"{median(row['recovery_seconds'] for row in same):.1f}",
        )
    return table


def containers(rows: Sequence[Row]) -> Table:
    """Tabulate containers by their size."""
    table = new_table("", "cores", "memory", "ready s", "requests/s", "p50 ms", "p99 ms", "errors", "MB")
    for row in rows:
        if "seconds_to_ready" in row:
            table.add_row(
                row["design"],
                f"{row['cores']:g}",
                row["memory"],
                f"{row['seconds_to_ready']['median']:.1f}",
                f"{row['requests_per_second']['median']:,.0f}",
                f"{row['p50_ms']['median']:.1f}",
                f"{row['p99_ms']['median']:.1f}",
                str(row["non_2xx"] + row["failed"]),
                f"{row['memory_mb']:.0f}",
            )
    return table


def in_process(rows: Sequence[Row]) -> Table:
    """Tabulate microseconds by what is done and the size of batches."""
    table = new_table("processor time in a worker", "batch", "us", "quartiles")
    for row in rows:
        table.add_row(row["what"], str(row["batch"]), *_both(row["microseconds"], 1))
    return table


def portfolios(rows: Sequence[Row]) -> Table:
    """Tabulate engines by rows and processes, or what is projected from them."""
    if rows[0]["name"] == "projected":
        table = new_table("cores", "hours", "dollars")
        for row in rows:
            table.add_row(str(row["processes"]), f"{row['seconds']['median'] / 3600:.2f}", f"{row['dollars']:.2f}")
        return table
    table = new_table("", "processes", "rows", "seconds", "rows/s", "times one process", "peak MB (PSS)", "others")
    for row in rows:
        if row["name"] != "projected":
            seconds = row["seconds"]["median"]
            figures = str(row["processes"]), f"{row['rows']:,}", f"{seconds:.1f}", f"{row['rows'] / seconds:,.0f}"
            shared = f"{row['peak_mb']:.0f}", f"{row['others']:.0%}"
            table.add_row(row["name"], *figures, ratio(row["ratio"]) if "ratio" in row else "", *shared)
    return table


def _both(spread: dict[str, float], digits: int) -> tuple[str, str]:
    median_, lower, upper = (f"{spread[name]:,.{digits}f}" for name in ("median", "lower", "upper"))
    return median_, f"{lower} to {upper}"


def _ms(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f}"


TABLES: dict[str, Callable[[Sequence[Row]], Table]] = {
    "throughput": compared,
    "frameworks": compared,
    "accountable": lambda rows: compared(rows, "with"),
    "batching": lambda rows: compared(rows, "max_batch_size"),
    "versions": compared,
    "sockets": sockets,
    "model-server": compared,
    "serving-batching": lambda rows: compared(rows, "where and how"),
    "large-batches": large_batches,
    "open-loop": open_loop,
    "containers": containers,
    "features": features,
    "jobs": jobs,
    "portfolios": portfolios,
    "in-process": in_process,
    "growth": growth_tables.all_growth,
    "stages": growth_tables.stages,
}
