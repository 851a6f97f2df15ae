"""`python -m credit_risk score`: decide a file of applications as the service would, many at a time."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import click
from rich.console import Console
from rich.progress import Progress

from credit_risk.commands.options import PATH, model_option, policy_option, reasons_option
from credit_risk.commands.recording import open_recording
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import DataError, DependencyError
from credit_risk.contract.policy import load_policy
from credit_risk.deciding.decided import Origin
from credit_risk.model.store import load_model
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import SUFFIXES, Report
from credit_risk.portfolio.folder import parts_of, target_at
from credit_risk.portfolio.local_engine import decide_all, prepare, workers_for
from credit_risk.portfolio.readers import check_paths, read_rows
from credit_risk.portfolio.recording import RecordedAs
from credit_risk.portfolio.remote import S3
from credit_risk.portfolio.work import Counts, Outputs
from credit_risk.portfolio.writer import Output
from credit_risk.serving.release import release_of
from credit_risk.serving.settings import PROJECT

TERMINATED = 128 + signal.SIGTERM  # the exit status that shells give


@click.command(context_settings={"show_default": True})
@click.argument("applications", metavar="INPUT")
@click.option(
    "-o", "--output", required=True, help="File of the decisions: .csv, .ndjson or .parquet; a folder of such with Ray."
)
@click.option("--rejects", show_default="OUTPUT's name with .rejects.csv", help="CSV of the rows that are refused.")
@model_option
@policy_option
@reasons_option
@click.option("--no-reasons", is_flag=True, help="Leave the reasons out, which is faster.")
@click.option("--rows-at-once", default=50_000, type=click.IntRange(1), help="Rows in memory of a process at once.")
@click.option(
    "--decision-log", type=PATH, help="Folder to record the decisions in, for replay, with an archive of what decided."
)
@click.option("--strict", is_flag=True, help="Write no decisions, and fail, if any row is refused.")
@click.option(
    "--workers", type=click.IntRange(1), show_default="all cores, or 1 for a small file", help="Processes that decide."
)
@click.option(
    "--engine", default="local", type=click.Choice(["local", "ray"]), help="What runs them: this machine, or Ray."
)
@click.option("--address", show_default="a Ray of its own", help="Ray cluster, such as ray://HOST:10001.")
def score(
    applications: str,
    output: str,
    rejects: str | None,
    model: str,
    policy: Path,
    reasons: Path,
    no_reasons: bool,
    rows_at_once: int,
    decision_log: Path | None,
    strict: bool,
    workers: int | None,
    engine: str,
    address: str | None,
) -> None:
    """Decide the applications of INPUT, one row each, as the service would.

    INPUT is a .csv, .ndjson or .parquet file. With --engine ray it is a folder of such files, on a disk that all
    workers share or at an s3:// address.
    """
    rejects = rejects or _beside(output)
    _check_options(engine, address, decision_log, applications, output, rejects)
    paths = Path(applications), Path(output), Path(rejects)
    count = workers or workers_for(paths[0])
    if engine == "local":
        check_paths(*paths)
        prepare(count)
    recorded_as = None
    if decision_log:
        recorded_as = RecordedAs(Origin(f"score {paths[0].name}", None), release_of(PROJECT))
    loaded = load_model(model), load_policy(policy), load_catalogue(reasons)
    decider = BatchDecider(*loaded, reasons=not no_reasons, recorded_as=recorded_as)
    try:
        with _ending_on_sigterm():
            if engine == "ray":
                places = applications, output, rejects
                counts = _decide_folder(*places, decider, address, rows_at_once, workers, strict=strict)
            else:
                counts = _decide_file(*paths, decider, decision_log, rows_at_once, count, strict=strict)
    except OSError as error:
        folder = Path(error.filename or output).parent
        raise click.ClickException(f"{folder} can't be written to: {error.strerror}; name a folder that can") from None
    if not _is_whole(counts, strict=strict):
        fix = (
            f"put right the {counts.refused} rows that {rejects} names" if counts.refused else "it holds no application"
        )
        raise DataError(f"no decision was written from {applications}; {fix}")
    click.echo(_summary(counts, rejects))


def _check_options(
    engine: str, address: str | None, decision_log: Path | None, applications: str, output: str, rejects: str
) -> None:
    if engine == "ray":
        if decision_log:
            raise click.UsageError(
                "--decision-log needs --engine local, because a file that Ray does again would be on record twice"
            )
        if len({applications, output, rejects}) < 3:
            raise DataError("applications, output and rejects must be three different folders; name another")
        return
    if address:
        raise click.UsageError("--address is that of a Ray cluster; add --engine ray")
    if Path(applications).is_dir() or any(place.startswith(S3) for place in (applications, output, rejects)):
        raise DataError(
            f"{applications} to {output}: this machine decides a file; add --engine ray for folders and {S3}"
        )


def _decide_file(
    applications: Path,
    output: Path,
    rejects: Path,
    decider: BatchDecider,
    decision_log: Path | None,
    rows_at_once: int,
    workers: int,
    *,
    strict: bool,
) -> Counts:
    with ExitStack() as stack:
        refused, decided = stack.enter_context(Output(rejects)), stack.enter_context(Output(output))
        # Ends first, so that a decision that can be read is on record.
        recording = stack.enter_context(open_recording(decision_log, decider.basis)) if decision_log else None
        report = stack.enter_context(_progress())
        chunks = read_rows(applications, rows_at_once, report)
        counts = decide_all(chunks, decider, Outputs(decided, refused, recording), workers)
        refused.whole = counts.refused > 0
        decided.whole = _is_whole(counts, strict=strict)
        if recording:
            recording.whole = decided.whole
    if not counts.refused and decided.whole:
        rejects.unlink(missing_ok=True)  # of an earlier run
    return counts


def _decide_folder(
    applications: str,
    output: str,
    rejects: str,
    decider: BatchDecider,
    address: str | None,
    rows_at_once: int,
    workers: int | None,
    *,
    strict: bool,
) -> Counts:
    try:
        from credit_risk.portfolio.ray_engine import Job, decide_parts
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"--engine ray needs {error.name}, which is not installed here; install requirements-ray.txt"
        ) from None
    parts = parts_of(applications)
    suffix = PurePosixPath(output).suffix
    kind = suffix if suffix in SUFFIXES else parts[0].file.suffix
    with ExitStack() as stack:
        decided, refused = stack.enter_context(target_at(output)), stack.enter_context(target_at(rejects))
        report = stack.enter_context(_progress())
        counts = decide_parts(Job(parts, decider, decided, refused, kind, rows_at_once), address, workers, report)
        refused.whole = counts.refused > 0
        decided.whole = _is_whole(counts, strict=strict)
    return counts


def _is_whole(counts: Counts, *, strict: bool) -> bool:
    return counts.statuses.total() > 0 and not (strict and counts.refused)


def _beside(output: str) -> str:
    start, slash, name = output.rstrip("/").rpartition("/")
    return f"{start}{slash}{PurePosixPath(name).stem}.rejects.csv"


@contextmanager
def _progress() -> Iterator[Report]:
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("Scoring", total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _summary(counts: Counts, rejects: str) -> str:
    decided = ", ".join(f"{counts.statuses[status]:,} {status}" for status in STATUSES)
    summary = f"{counts.statuses.total():,} applications decided: {decided}"
    return f"{summary}; {counts.refused:,} rows refused, {rejects} names their faults" if counts.refused else summary


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """End by an exception, so that the context managers still remove what is half written."""
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(*_: object) -> None:
    sys.exit(TERMINATED)
