"""The `bentoml serve` on a port of this machine: how it was started, and its end."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from credit_risk.serving.settings import Settings, variable_of
from deploy.errors import DeployError

SECONDS_TO_END = 35  # after the drain: time for the last answers and for the workers to end
BENTO_NAME = "credit_risk_classifier"
DRAIN = variable_of("drain_seconds")


@dataclass(frozen=True)
class Server:
    """A running `bentoml serve`, and what it takes to start it again."""

    port: int
    process: psutil.Process
    command: list[str]
    folder: str
    environment: dict[str, str] = field(repr=False)  # it may hold secrets

    @property
    def seconds_to_stop(self) -> float:
        """How long this server may take to stop, by its own drain."""
        drain = self.environment.get(DRAIN) or Settings.model_fields["drain_seconds"].default
        return float(drain) + SECONDS_TO_END

    def serves_a_bento(self) -> bool:
        """Tell whether this serves a bento, and not a service in a folder or a module."""
        target = self._target()
        return target.partition(":")[0] == BENTO_NAME or Path(target, "bento.yaml").is_file()

    def command_for(self, target: str) -> list[str]:
        """Return the command line that serves this instead."""
        replaced = self._target()
        if replaced not in self.command:  # the default, the current folder
            return [*self.command, target]
        last = len(self.command) - 1 - self.command[::-1].index(replaced)
        return [*self.command[:last], target, *self.command[last + 1 :]]

    def stop(self) -> None:
        """Stop the server, and wait until it has answered what it let in. Raises DeployError if it does not stop."""
        try:
            self.process.terminate()
            self.process.wait(self.seconds_to_stop)
        except psutil.NoSuchProcess:  # it ended on its own
            pass
        except psutil.TimeoutExpired:
            raise DeployError(
                f"the server on port {self.port} (process {self.process.pid}) has not stopped within "
                f"{self.seconds_to_stop:.0f} s; kill it"
            ) from None

    def _target(self) -> str:
        """Read what is served from the command line, as BentoML does: the one word that is no option's value."""
        from bentoml_cli.serve import serve_command  # only now, because it imports BentoML, which reads BENTOML_HOME

        arguments = self.command[self.command.index("serve") + 1 :]
        context = serve_command.commands["serve"].make_context("serve", arguments, resilient_parsing=True)
        return str(context.params["bento"])


def server_on(port: int) -> Server | None:
    """Find the `bentoml serve` that listens on this port. Without any listener, return None.

    Raises DeployError if the port is somebody else's, or if what the server was started with can't be read.
    """
    try:
        servers = {_server_of(listener, port) for listener in _listeners(port)}
        if not servers:
            return None
        if len(servers) > 1:
            pids = ", ".join(str(server.pid) for server in sorted(servers, key=lambda server: server.pid))
            raise DeployError(f"several servers listen on port {port} (processes {pids}); stop all but one")
        return _read(servers.pop(), port)
    except psutil.AccessDenied:
        raise _somebody_elses(port) from None
    except psutil.NoSuchProcess:
        raise DeployError(f"what listened on port {port} has just ended; run this again") from None


def _read(process: psutil.Process, port: int) -> Server:
    if process.uids().real != os.getuid():
        raise _somebody_elses(port)
    environment, folder = process.environ(), process.cwd()
    if not environment:
        raise DeployError(
            f"the environment of the server on port {port} (process {process.pid}) can't be read; stop it, and start "
            "the next one with its environment"
        )
    if not Path(folder).is_dir():
        raise DeployError(
            f"the folder of the server on port {port} (process {process.pid}) has been deleted; stop it, and start the "
            "next one where its code is"
        )
    return Server(port, process, process.cmdline(), folder, environment)


def _listeners(port: int) -> set[psutil.Process]:
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    ]
    if any(connection.pid is None for connection in listening):  # a process of another user
        raise _somebody_elses(port)
    return {psutil.Process(connection.pid) for connection in listening}


def _server_of(listener: psutil.Process, port: int) -> psutil.Process:
    """Return the `bentoml serve` that this process is or descends from. Raises DeployError if there is none."""
    for process in (listener, *listener.parents()):
        words = process.cmdline()[1:3]
        if len(words) == 2 and Path(words[0]).name == "bentoml" and words[1] == "serve":
            return process
    raise DeployError(
        f"what listens on port {port} (process {listener.pid}) is no `bentoml serve`; stop it, or name another port"
    )


def _somebody_elses(port: int) -> DeployError:
    return DeployError(
        f"what listens on port {port} can't be read, as it runs as another user; run this as that user, or name "
        "another port"
    )
