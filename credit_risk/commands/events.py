"""What the commands share that put reviews and outcomes on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from credit_risk.commands.options import own_log
from credit_risk.contract.errors import DataError, RequestError
from credit_risk.contract.event import Asking, ReviewLine
from credit_risk.record.events import EventLog, Recorded
from credit_risk.serving.release import release_of
from credit_risk.serving.reviews import open_event_log
from credit_risk.serving.settings import PROJECT, load_settings


def own_events(log: Path | None) -> EventLog:
    """Open the events of a log, by default the service's own."""
    settings = load_settings()
    folder = str(log or own_log(settings))
    if not Path(folder).is_dir():
        raise DataError(f"there is no decision log {folder}: name its folder with --log")
    return open_event_log(settings, folder)


def asking() -> Asking:
    """Say that a command asks, of this version."""
    return Asking(request_id="command", caller=None, service=release_of(PROJECT))


@contextmanager
def told() -> Iterator[Callable[[Recorded], None]]:
    """Give what tells of an event that is on record. What is wrong with it is told field by field."""
    try:
        yield _tell
    except RequestError as error:
        faults = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.detail]
        raise DataError(str(error), faults) from None


def _tell(recorded: Recorded) -> None:
    line = recorded.line
    kind, name = ("review", line.review_id) if isinstance(line, ReviewLine) else ("outcome", line.outcome_id)
    if recorded.is_new:
        click.echo(f"Recorded {kind} {name} of decision {line.decision_id}")
    else:
        click.echo(f"On record already as {kind} {name} of decision {line.decision_id}")
