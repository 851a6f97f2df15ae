"""The parent of the workers: a process that a shell, a container or Fargate starts and watches."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import click
import psutil

from credit_risk.contract.errors import SettingError

WATCH_SECONDS = 0.5


def in_container() -> bool:
    """Tell whether this runs in an image made by `bentoml containerize`."""
    return "BENTOML_CONTAINERIZED" in os.environ


def check_port(default_host: str, default_port: int) -> None:
    """Raise SettingError if `bentoml serve`, which calls this, can't listen where it was told to.

    The defaults come from the configuration; --host, --port and their environment variables override them.
    """
    context = click.get_current_context(silent=True)
    options = context.params if context else {}
    host, port = options.get("host") or default_host, options.get("port") or default_port
    try:
        with socket.create_server((host, port)):  # with SO_REUSEADDR, as BentoML will bind it
            pass
    except OSError as error:
        raise SettingError(
            f"can't listen on {host}, port {port}: {error.strerror}; "
            "stop what listens there, or name another with --port or BENTOML_PORT"
        ) from None


def end_with_a_worker() -> None:
    """Watch this process's workers, and end as on SIGTERM when one of them has ended.

    In a container BentoML does not replace a worker. It would go on with a part of its throughput, unnoticed by the
    supervisor that could replace the container.
    """
    threading.Thread(target=_watch, args=(psutil.Process(),), daemon=True).start()


def _watch(parent: psutil.Process) -> None:
    workers: set[psutil.Process] = set()
    while all(map(_runs, workers)):
        workers |= set(parent.children())
        time.sleep(WATCH_SECONDS)
    os.kill(parent.pid, signal.SIGTERM)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
