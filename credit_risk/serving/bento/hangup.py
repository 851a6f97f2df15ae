"""SIGHUP: the parent reloads the rulebook, or ends if its terminal is gone; workers do nothing about it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from circus.sighandler import SysHandler


def take_over_sighup(reload: Callable[[], None]) -> None:
    """Call `reload` on SIGHUP. To be called in the parent, before circus installs its handlers.

    circus itself would reload its workers, which closes the port. A terminal that closes sends SIGHUP too; then the
    service ends, unless it was started with nohup.
    """
    outlives_terminal = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN or not _has_terminal()

    def on_sighup(handler: SysHandler) -> None:
        if outlives_terminal or _has_terminal():
            reload()
        else:
            handler.quit()

    SysHandler.handle_hup = on_sighup


def ignore_sighup() -> None:
    """Leave SIGHUP to the parent. To be called in a worker, which gets it too when a terminal closes."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
