"""Verdicts as a table for the terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from attack.caller import Account
from attack.verdict import Verdict


def line(verdict: Verdict) -> str:
    """Tell in one line what came of an attack."""
    if verdict.held:
        return f"[green]held[/green]      {verdict.name}"
    return f"[red]gave way[/red]  {verdict.name}: {escape('; '.join(verdict.faults))}"


def table(verdicts: Sequence[Verdict]) -> Table:
    """Tabulate what came of all attacks."""
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("attack", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    shown.add_column("s", justify="right", no_wrap=True)
    for name in ("/classify", "p50 ms", "p99 ms", "worst", "/livez", "MB", "files"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("figures", overflow="fold")
    for verdict in verdicts:
        classify, livez = (_account(verdict, path) for path in ("/classify", "/livez"))
        shown.add_row(
            verdict.name,
            "[green]held[/green]" if verdict.held else "[red]gave way[/red]",
            f"{verdict.seconds:.0f}",
            _share(classify),
            *(_ms(classify.percentile(share)) for share in (0.5, 0.99, 1.0)),
            _share(livez),
            " ".join(_whole(verdict.memory_mb.get(when)) for when in ("before", "peak", "after")),
            " ".join(_whole(verdict.descriptors.get(when)) for when in ("before", "after")),
            escape(figures(verdict)),
        )
    return shown


def figures(verdict: Verdict) -> str:
    """Give the figures of an attack, and how often it got which status."""
    counts = {str(status): f"{count:,}" for status, count in verdict.statuses.items()}
    told = {name: f"{value:,}" if isinstance(value, int) else value for name, value in verdict.figures.items()}
    return ", ".join(f"{name}: {value}" for name, value in (told | counts).items())


def as_json(verdicts: Sequence[Verdict], **settings: Any) -> str:
    """Give the whole report."""
    held = all(verdict.held for verdict in verdicts)
    return json.dumps({**settings, "held": held, "attacks": [v.as_json() for v in verdicts]}, indent=1) + "\n"


def _account(verdict: Verdict, path: str) -> Account:
    return next((account for account in verdict.callers if account.path == path), Account(path))


def _share(account: Account) -> str:
    refused = f" ({account.refused} refused)" if account.refused else ""
    return f"{len(account.milliseconds)}/{account.asked}{refused}"


def _ms(value: float) -> str:
    return "" if value != value else f"{value:,.0f}"


def _whole(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
