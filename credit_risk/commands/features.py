"""`python -m credit_risk features`: fill the feature store, and see what is in it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from credit_risk.commands.options import PATH
from credit_risk.contract.errors import DataError, SettingError
from credit_risk.contract.on_file import load_fields_on_file
from credit_risk.portfolio.coverage import VERDICTS, Coverage, verdicts_of
from credit_risk.portfolio.profiles import read_profiles
from credit_risk.portfolio.redis_profiles import RedisProfiles
from credit_risk.portfolio.sqlite_profiles import SQLiteProfiles
from credit_risk.portfolio.stores import Store
from credit_risk.portfolio.writer import Output
from credit_risk.serving.features import SQLITE
from credit_risk.serving.settings import STORE_URL, load_settings

AT_ONCE = 1000  # customers that are checked before the progress is shown
DAY = 86_400  # seconds
console = Console(width=120)

store_option = click.option(
    "--to", "url", metavar="URL", default=lambda: load_settings().features, show_default="CREDIT_RISK_FEATURES",
    help="The store: sqlite:///FILE, or redis://[:PASSWORD@]HOST:PORT/DB (rediss:// with TLS).",
)  # fmt: skip
file_option = click.option(
    "--features-file", type=PATH, default=lambda: load_settings().features_file,
    show_default="CREDIT_RISK_FEATURES_FILE", help="Which fields are on file, and how old they may be.",
)  # fmt: skip


@click.group()
def features() -> None:
    """Fill the feature store from files, and see what is in it."""


@features.command(context_settings={"show_default": True})
@click.argument("file", type=PATH)
@store_option
@file_option
@click.option("--update", is_flag=True, help="Add to what is there, newer values first, instead of replacing it all.")
@click.option(
    "--as-of", type=click.DateTime(), show_default="now", help="When the rows were so that do not say it, in UTC."
)
@click.option("--rejects", type=PATH, show_default="FILE's name with .rejects.csv", help="CSV of the rows refused.")
@click.option("--strict", is_flag=True, help="Change nothing, and fail, if any row is refused.")
def load(
    file: Path,
    url: str | None,
    features_file: Path,
    update: bool,
    as_of: datetime | None,
    rejects: Path | None,
    strict: bool,
) -> None:
    """Load the rows of FILE (.csv, .ndjson or .parquet) into the store: all of them, or with an error none.

    The columns are `customer`, fields that the features file lists, and perhaps `as_of`. An empty cell says nothing.
    """
    store, on_file = _store(url), load_fields_on_file(features_file)
    rejects = rejects or file.with_name(f"{file.stem}.rejects.csv")
    customers = refused = 0
    with ExitStack() as stack:
        writer = stack.enter_context(store.writing(update=update))
        output = stack.enter_context(Output(rejects))
        report = _reporter(stack, "Loading")
        for some in read_profiles(file, on_file.names, as_of or datetime.now(UTC), report):
            writer.put(some.fields)
            customers += len(some.fields)
            if some.rejects:
                row, name, fix = (pa.array(column) for column in zip(*some.rejects, strict=True))
                output.write({"row": row, "field": name, "fix": fix})
                refused += len({number for number, _, _ in some.rejects})
        output.whole = refused > 0
        writer.whole = customers > 0 and not (strict and refused)
    if not writer.whole:
        fix = f"put right the {refused:,} rows that {rejects} names" if refused else "it holds no customer"
        raise DataError(f"nothing was loaded from {file}; {fix}")
    if not refused:
        rejects.unlink(missing_ok=True)  # of an earlier run
    named = f"; {refused:,} rows refused, {rejects} names their faults" if refused else ""
    click.echo(f"{customers:,} rows loaded into {store.source}{named}")


@features.command()
@click.argument("customer")
@store_option
@file_option
def show(customer: str, url: str | None, features_file: Path) -> None:
    """Show what is on file about CUSTOMER, and what an application would take of it."""
    store, on_file = _store(url), load_fields_on_file(features_file)
    profile = store.get(customer)
    if profile is None:
        raise DataError(f"this customer is not on file in {store.source}; load them")
    verdicts = verdicts_of(profile, on_file)
    table = Table("field", "value", "as of", "an application takes it as")
    for field in dict.fromkeys([*on_file.fields, *profile.fields]):
        value, as_of = profile.fields.get(field, (None, None))
        when = "" if as_of is None else datetime.fromtimestamp(as_of, UTC).isoformat(timespec="seconds")
        told = verdicts.get(field, "nothing: the features file does not list it")
        table.add_row(field, "" if as_of is None else str(value), when, told)
    console.print(table)


@features.command()
@store_option
@file_option
def check(url: str | None, features_file: Path) -> None:
    """Check all customers: what is on file of each field, how old it is, and who would be refused."""
    store, coverage = _store(url), Coverage(load_fields_on_file(features_file))
    with ExitStack() as stack:
        report, count = _reporter(stack, "Checking"), store.count()
        for number, (_, profile) in enumerate(store.scan()):
            coverage.add(profile)
            if number % AT_ONCE == 0:
                report(min(1, number / count))
    table = Table("field", *VERDICTS, "oldest")
    for field, counts in coverage.verdicts.items():
        age = (time.time() - coverage.oldest[field]) / DAY if field in coverage.oldest else None
        cells = [f"{counts[verdict]:,}" if counts[verdict] else "" for verdict in VERDICTS]
        table.add_row(field, *cells, "" if age is None else f"{age:,.1f} days")
    console.print(table)
    click.echo(
        f"{coverage.customers:,} customers in {store.source}; an application that leaves out every field on file "
        f"would be refused for {coverage.refused:,} of them"
    )


def _store(url: str | None) -> Store:
    if url is None:
        raise SettingError("name the store with --to, or set CREDIT_RISK_FEATURES, such as sqlite:///features.sqlite")
    if not re.fullmatch(STORE_URL, url):
        raise SettingError("--to must be sqlite:///FILE, or redis://HOST:PORT/DB (rediss:// with TLS)")
    return SQLiteProfiles(Path(url.removeprefix(SQLITE))) if url.startswith(SQLITE) else RedisProfiles(url)


def _reporter(stack: ExitStack, what: str) -> Callable[[float], object]:
    progress = stack.enter_context(Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()))
    task = progress.add_task(what, total=1.0)
    return lambda share: progress.update(task, completed=share)
