"""`python -m deploy.rollback`: return to the previous model or bento on this machine.

The version that `credit_risk_model:latest` stands for is kept in a file of BentoML's store. BentoML writes that file
whenever it saves a model, and this command rewrites it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bentoml
import click
import psutil
from bentoml.exceptions import BentoMLException

from credit_risk.model import MODEL_NAME
from deploy.errors import DeployError

BENTO_NAME = "credit_risk_classifier"
SECONDS_TO_STOP = 35  # time for a server to drain and to give its last answers


@click.command()
@click.option("--bento", is_flag=True, help="Roll back the bento instead of the model.")
@click.option("--to", "version", help="Version to return to. By default, the one saved before the latest.")
@click.option("--port", type=int, help="Also stop the server on this port, as a running server keeps its version.")
def rollback(bento: bool, version: str | None, port: int | None) -> None:
    """Make an older model the latest, so that servers started from now on serve it.

    Run it again to go back one more version. With --to, go to any version, even a newer one.
    """
    name = BENTO_NAME if bento else MODEL_NAME
    store = bentoml.bentos if bento else bentoml.models
    try:
        latest = store.get(f"{name}:latest")
        target = store.get(f"{name}:{version}") if version else _version_before(latest, store.list(name))
    except (BentoMLException, ValueError):  # not there, or no tag at all
        listing = "bentoml list" if bento else "bentoml models list"
        raise DeployError(f"there is no {name}:{version or 'latest'} in the store; see `{listing}`") from None
    _make_latest(latest, target)
    click.echo(f"{name}:latest is now {target.tag.version}; it was {latest.tag.version}")
    if port:
        _stop_server(port)


def _version_before(latest: Any, saved: Iterable[Any]) -> Any:
    older = [item for item in saved if item.creation_time < latest.creation_time]
    if not older:
        raise DeployError(f"there is no version before {latest.tag}; see `bentoml models list` and `bentoml list`")
    return max(older, key=lambda item: item.creation_time)


def _make_latest(latest: Any, target: Any) -> None:
    pointer = Path(latest.path).with_name("latest")
    partial = pointer.with_name(".latest.partial")
    partial.write_text(target.tag.version)
    partial.replace(pointer)


def _stop_server(port: int) -> None:
    """Stop the `bentoml serve` that listens on this port, if there is one, and wait until it has stopped."""
    for server in {server for server in map(_server_of, _listeners(port)) if server is not None}:
        server.terminate()
        try:
            server.wait(SECONDS_TO_STOP)
        except psutil.TimeoutExpired:
            raise DeployError(f"the server on port {port} (process {server.pid}) does not stop; kill it") from None
        click.echo(f"Stopped the server on port {port}")


def _listeners(port: int) -> set[psutil.Process]:
    connections = psutil.net_connections("tcp")
    return {
        psutil.Process(each.pid)
        for each in connections
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid
    }


def _server_of(listener: psutil.Process) -> psutil.Process | None:
    """Return the `bentoml serve` that this process is or descends from, or None if there is none."""
    for process in (listener, *listener.parents()):
        if process.cmdline()[1:3] and Path(process.cmdline()[1]).name == "bentoml" and process.cmdline()[2] == "serve":
            return process
    return None


if __name__ == "__main__":
    rollback(prog_name="python -m deploy.rollback")
