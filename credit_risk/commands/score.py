"""`python -m credit_risk score`: decide a file of applications as the service would, many at a time."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from credit_risk.commands.options import PATH, model_option, policy_option, reasons_option
from credit_risk.contract.catalogue import Catalogue, load_catalogue
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import DataError
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.model.store import StoredModel, load_model
from credit_risk.portfolio.blocks import Report
from credit_risk.portfolio.checking import Chunk
from credit_risk.portfolio.readers import check_paths, read
from credit_risk.portfolio.recording import Recording
from credit_risk.portfolio.scoring import score_chunk
from credit_risk.portfolio.writer import Output
from credit_risk.serving.release import release_of
from credit_risk.serving.settings import PROJECT

TERMINATED = 128 + signal.SIGTERM  # the exit status that shells give


@dataclass
class _Counts:
    """What came of a file."""

    statuses: Counter[str] = field(default_factory=Counter)
    refused: int = 0


@click.command(context_settings={"show_default": True})
@click.argument("applications", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="File of the decisions: .csv, .ndjson or .parquet.")
@click.option(
    "--rejects", type=PATH, show_default="OUTPUT's name with .rejects.csv", help="CSV of the rows that are refused."
)
@model_option
@policy_option
@reasons_option
@click.option("--no-reasons", is_flag=True, help="Leave the reasons out, which is faster.")
@click.option("--rows-at-once", default=50_000, type=click.IntRange(1), help="Rows in memory at once.")
@click.option(
    "--decision-log", type=PATH, help="Folder to record the decisions in, for replay, with an archive of what decided."
)
@click.option("--strict", is_flag=True, help="Write no decisions, and fail, if any row is refused.")
def score(
    applications: Path,
    output: Path,
    rejects: Path | None,
    model: str,
    policy: Path,
    reasons: Path,
    no_reasons: bool,
    rows_at_once: int,
    decision_log: Path | None,
    strict: bool,
) -> None:
    """Decide the APPLICATIONS in a file (.csv, .ndjson or .parquet), one row each, as the service would."""
    rejects = rejects or output.with_name(f"{output.stem}.rejects.csv")
    check_paths(applications, output, rejects)
    loaded = load_model(model), load_policy(policy), load_catalogue(reasons)
    recording: Recording | None = None
    try:
        with ExitStack() as stack:
            # On SIGTERM the context managers still remove what is half written.
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _exit))
            refused, decided = stack.enter_context(Output(rejects)), stack.enter_context(Output(output))
            if decision_log:  # ends first, so that a decision that can be read is on record
                made = Recording(decision_log, f"score {applications.name}", *loaded, release_of(PROJECT))
                recording = stack.enter_context(made)
            progress = stack.enter_context(Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()))
            counts = _decide_all(
                applications,
                rows_at_once,
                _reporter(progress),
                lambda chunk: _decide(chunk, loaded, recording, reasons=not no_reasons),
                decided,
                refused,
            )
            refused.whole = counts.refused > 0
            decided.whole = bool(counts.statuses) and not (strict and counts.refused)
            if recording:
                recording.whole = decided.whole
    except OSError as error:
        folder = Path(error.filename or output).parent
        raise click.ClickException(f"{folder} can't be written to: {error.strerror}; name a folder that can") from None
    if not decided.whole:
        fix = (
            f"put right the {counts.refused} rows that {rejects} names" if counts.refused else "it holds no application"
        )
        raise DataError(f"no decision was written from {applications}; {fix}")
    if not counts.refused:
        rejects.unlink(missing_ok=True)  # of an earlier run
    click.echo(_summary(counts, rejects))


def _decide_all(
    applications: Path,
    rows_at_once: int,
    report: Report,
    decide: Callable[[Chunk], dict[str, pa.Array]],
    decided: Output,
    refused: Output,
) -> _Counts:
    counts = _Counts()
    for chunk in read(applications, rows_at_once, report):
        if chunk.rejects:
            row, name, fix = (pa.array(column) for column in zip(*chunk.rejects, strict=True))
            refused.write({"row": row, "field": name, "fix": fix})
            counts.refused += len({number for number, _, _ in chunk.rejects})
        if len(chunk.numbers):
            columns = decide(chunk)
            decided.write(columns)
            counts.statuses.update(columns["Status"].to_pylist())
    return counts


def _decide(
    chunk: Chunk, loaded: tuple[StoredModel, Policy, Catalogue], recording: Recording | None, *, reasons: bool
) -> dict[str, pa.Array]:
    ids = recording.record(chunk) if recording else None
    return score_chunk(chunk, *loaded, reasons=reasons, decision_ids=ids)


def _reporter(progress: Progress) -> Report:
    task = progress.add_task("Scoring", total=1.0)
    return lambda share: progress.update(task, completed=share)


def _summary(counts: _Counts, rejects: Path) -> str:
    decided = ", ".join(f"{counts.statuses[status]:,} {status}" for status in STATUSES)
    summary = f"{counts.statuses.total():,} applications decided: {decided}"
    return f"{summary}; {counts.refused:,} rows refused, {rejects} names their faults" if counts.refused else summary


def _exit(*_: object) -> None:
    sys.exit(TERMINATED)
