"""Print the log of the service."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from deploy.aws import Aws
from deploy.ecs.stack import State
from deploy.errors import DeployError

_POLL_SECONDS = 2
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Ago(click.ParamType[timedelta]):
    """A time before now, such as 10m, in s, m, h or d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} must be a number followed by s, m, h or d, such as 10m", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


def show_log(aws: Aws, state: State, since: timedelta, *, follow: bool) -> None:
    """Print what was logged since then. With `follow`, keep printing until interrupted.

    Raises DeployError if the service is not deployed yet.
    """
    if "LogGroup" not in state.outputs:
        raise DeployError("the service is not deployed yet, so it has no log; deploy it first")
    group = state.outputs["LogGroup"]
    start = int((datetime.now(UTC) - since).timestamp() * 1000)
    seen: set[str] = set()
    while True:
        # Version 1 of the command line lacks `aws logs tail`.
        answer = aws.run("logs", "filter-log-events", "--log-group-name", group, "--start-time", str(start))
        if answer is None:
            return
        for event in answer["events"]:
            if event["eventId"] not in seen:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                click.echo(f"{at:%Y-%m-%dT%H:%M:%SZ} {event['message'].rstrip()}")
                start = max(start, event["timestamp"])
        seen = {event["eventId"] for event in answer["events"]}
        if not follow:
            return
        time.sleep(_POLL_SECONDS)
