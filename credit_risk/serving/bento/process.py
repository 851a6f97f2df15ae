"""The processes: a parent that a shell, a container or Fargate starts and watches, and its workers."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import threading
import time

import click
import psutil
from circus.sighandler import SysHandler

from credit_risk.contract.errors import SettingError

logger = logging.getLogger("bentoml.credit_risk")

WATCH_SECONDS = 0.5


def in_container() -> bool:
    """Tell whether this runs in an image made by `bentoml containerize`."""
    return "BENTOML_CONTAINERIZED" in os.environ


def is_worker() -> bool:
    """Tell whether BentoML has started this process as a worker."""
    context = click.get_current_context(silent=True)
    return context is not None and "fd" in context.params


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
    """Watch this process's workers. When one has ended unasked, end as on SIGTERM, but with status 1.

    In a container BentoML does not replace a worker. It would go on with a part of its throughput, unnoticed by the
    supervisor that could replace the container. To be called before circus installs its handlers of signals.
    """
    was_asked_to_end = threading.Event()
    quit_ = SysHandler.quit

    def noted(handler: SysHandler) -> None:
        was_asked_to_end.set()
        quit_(handler)

    SysHandler.quit = noted
    threading.Thread(target=_watch, args=(psutil.Process(), was_asked_to_end), daemon=True).start()


def end_with_parent(parent: int) -> None:
    """Watch the parent of this worker. When it is gone, end as on SIGTERM, because nobody else would end this one."""
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch(parent: psutil.Process, was_asked_to_end: threading.Event) -> None:
    workers: set[psutil.Process] = set()
    while all(map(_runs, workers)):
        workers |= set(parent.children())
        time.sleep(WATCH_SECONDS)
    if not was_asked_to_end.is_set():
        logger.error("A worker has ended unasked, perhaps for want of memory; the service ends with it")
        atexit.register(os._exit, 1)
        os.kill(parent.pid, signal.SIGTERM)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
