"""`python -m deploy.rollback`: return to the previous model or bento on this machine.

The version that `credit_risk_model:latest` stands for is kept in a file of BentoML's store. BentoML writes that file
whenever it saves a model, and this command rewrites it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from credit_risk.model import MODEL_NAME
from credit_risk.model.releases import current_user, point_to, promote
from credit_risk.serving.settings import variable_of
from deploy.errors import DeployError
from deploy.server import BENTO_NAME, Server, server_on

BENTOML = str(Path(sys.executable).with_name("bentoml"))
SERVE = (BENTOML, "serve", "--production", "--timeout-keep-alive", "75")  # as `make serve` does
SERVE_ENVIRONMENT = {variable_of("jobs_workers"): "1"}  # unless the shell says otherwise, as with `make serve`
MODEL_VARIABLE = variable_of("model")


@click.command()
@click.option("--bento", is_flag=True, help="Roll back the bento instead of the model.")
@click.option("--to", "version", help="Version to return to. By default, the one saved before the latest.")
@click.option("--port", type=int, help="Also serve that version on this port, in place of the server there.")
def rollback(bento: bool, version: str | None, port: int | None) -> None:
    """Make an older model the latest, so that servers started from now on serve it.

    Run it again to go back one more version. With --to, go to any version, even a newer one. A change of the model goes
    on record, as `python -m credit_risk models list` shows.

    With --port, the server on that port is stopped and started again in this shell, with its own command line, folder,
    environment and model store; only CREDIT_RISK_MODEL is dropped. If nothing listens there, a server is started as
    `make serve` starts it.
    """
    server = server_on(port) if port else None
    if server:
        _enter(server)
    environment = {name: value for name, value in os.environ.items() if name != MODEL_VARIABLE}
    if not server:
        environment = SERVE_ENVIRONMENT | environment
    latest, target = _versions(version, bento=bento)
    command = _command(server, port, bento=bento) if port else []
    if server:
        click.echo(f"Stopping the server on port {port}, within {server.seconds_to_stop:.0f} s", err=True)
        server.stop()
    if bento:
        point_to(Path(target.path))
    else:
        why = f"rolled back with `python -m deploy.rollback{f' --to {version}' if version else ''}`"
        promote(Path(target.path).parents[1], target.tag.version, by=current_user(), why=why, faults=[])
    click.echo(f"{latest.tag.name}:latest is now {target.tag.version}; it was {latest.tag.version}")
    if command:
        os.execvpe(command[0], command, environment)


def _enter(server: Server) -> None:
    """Go on in the server's folder and environment. To be called before BentoML is imported, which finds its store."""
    os.chdir(server.folder)
    os.environ.clear()
    os.environ.update(server.environment)


def _versions(version: str | None, *, bento: bool) -> tuple[Any, Any]:
    """Find the latest version and the one to return to. Raises DeployError if one of them is not in the store."""
    import bentoml
    from bentoml.exceptions import BentoMLException

    store, name = (bentoml.bentos, BENTO_NAME) if bento else (bentoml.models, MODEL_NAME)
    try:
        latest = store.get(f"{name}:latest")
        return latest, store.get(f"{name}:{version}") if version else _version_before(latest, store.list(name))
    except (BentoMLException, ValueError):  # not there, or no tag at all
        listing = "bentoml list" if bento else "bentoml models list"
        raise DeployError(f"there is no {name}:{version or 'latest'} in the store; see `{listing}`") from None


def _version_before(latest: Any, saved: Iterable[Any]) -> Any:
    older = [item for item in saved if item.creation_time < latest.creation_time]
    if not older:
        raise DeployError(f"there is no version before {latest.tag}; see `bentoml models list` and `bentoml list`")
    return max(older, key=lambda item: item.creation_time)


def _command(server: Server | None, port: int, *, bento: bool) -> list[str]:
    """Return the command that serves from now on. Raises DeployError if it would serve what is served already."""
    latest_bento = f"{BENTO_NAME}:latest"
    if server is None:
        return [*SERVE, "--port", str(port), *([latest_bento] if bento else [])]
    if bento:
        return server.command_for(latest_bento)
    if server.serves_a_bento():
        raise DeployError(
            f"the server on port {port} serves a bento, which holds its model; return to the bento before it with "
            "`make rollback WHAT=bento`"
        )
    return server.command


if __name__ == "__main__":
    rollback(prog_name="python -m deploy.rollback")
