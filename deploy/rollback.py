"""`python -m deploy.rollback`: back to the model that was the latest before, on this machine.

What `credit_risk_model:latest` stands for is a file of BentoML's store, which it writes when a model is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bentoml
import click
import psutil
from bentoml.exceptions import NotFound

from credit_risk.model import MODEL_NAME
from deploy.errors import DeployError

BENTO_NAME = "credit_risk_classifier"
SECONDS_TO_END = 35  # a server drains, and has 25 s for its last answers


@click.command()
@click.option("--bento", is_flag=True, help="The bento's latest instead of the model's.")
@click.option("--to", "version", help="The version to return to; the one saved before the latest, without it.")
@click.option("--port", type=int, help="End the server that listens there, which serves what was the latest.")
def rollback(bento: bool, version: str | None, port: int | None) -> None:
    """Make an older model the latest, which a server that is started from now on serves.

    Once more goes back once more; `--to` returns to any version, also to the newest.
    """
    name = BENTO_NAME if bento else MODEL_NAME
    store = bentoml.bentos if bento else bentoml.models
    try:
        latest = store.get(f"{name}:latest")
        target = store.get(f"{name}:{version}") if version else _before(latest, store.list(name))
    except NotFound:
        raise DeployError(f"there is no {name}:{version or 'latest'} in the store") from None
    _point(latest, target)
    click.echo(f"{name}:latest is {target.tag.version} now; it was {latest.tag.version}")
    if port:
        _end_server(port)


def _before(latest: Any, saved: Iterable[Any]) -> Any:
    older = [item for item in saved if item.creation_time < latest.creation_time]
    if not older:
        raise DeployError(f"there is none before {latest.tag}; see `bentoml models list` and `bentoml list`")
    return max(older, key=lambda item: item.creation_time)


def _point(latest: Any, target: Any) -> None:
    pointer = Path(latest.path).with_name("latest")
    partial = pointer.with_name(".latest.partial")
    partial.write_text(target.tag.version)
    partial.replace(pointer)


def _end_server(port: int) -> None:
    """End the `bentoml serve` that listens on this port, if any does, and wait until it has ended."""
    for server in {server for server in map(_server_of, _listeners(port)) if server is not None}:
        server.terminate()
        try:
            server.wait(SECONDS_TO_END)
        except psutil.TimeoutExpired:
            raise DeployError(f"the server on port {port}, process {server.pid}, does not end; kill it") from None
        click.echo(f"The server on port {port} has ended")


def _listeners(port: int) -> set[psutil.Process]:
    connections = psutil.net_connections("tcp")
    return {
        psutil.Process(each.pid)
        for each in connections
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid
    }


def _server_of(listener: psutil.Process) -> psutil.Process | None:
    """The `bentoml serve` that this is, or is a worker of."""
    for process in (listener, *listener.parents()):
        if process.cmdline()[1:3] and Path(process.cmdline()[1]).name == "bentoml" and process.cmdline()[2] == "serve":
            return process
    return None


if __name__ == "__main__":
    rollback(prog_name="python -m deploy.rollback")
