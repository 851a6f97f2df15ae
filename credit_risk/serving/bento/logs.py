"""The log of the service's processes: on stderr, apart from decisions on stdout, as text or as JSON.

BentoML gives its own loggers, uvicorn's, circus's and the root one handler, which writes text to stdout. Here that
handler gets another stream and another format, in the parent and in each worker. No traceback has the message of its
exception, which may hold an applicant's data.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Any, NoReturn

from bentoml._internal.log import DATE_FORMAT, TRACED_LOG_FORMAT, configure_server_logging
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from credit_risk.contract.errors import StartupError
from credit_risk.serving.settings import variable_of

HANDLER = "tracehandler"  # BentoML's name for it
TWICE = ("uvicorn.error", "circus")  # their records would reach the handler once more, as the root's
logger = logging.getLogger("bentoml.credit_risk")


class _WithoutMessages(logging.Formatter):
    """Tells of an exception its class and where it happened."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        kind, _, where = ei
        return "".join(traceback.format_tb(where)) + (kind.__name__ if kind else "")


class _Json(_WithoutMessages, JsonFormatter):
    """One JSON object a line."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
            timestamp="time",
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's message again, for terminals
        )


def log_to_stderr() -> None:
    """Log in the format that the settings name. A wrong name is theirs to refuse."""
    handler = _handler()
    if handler is None:  # this is no server
        return
    handler.setStream(sys.stderr)
    if os.environ.get(variable_of("log_format")) == "json":
        handler.filters.clear()  # they only add what BentoML's text needs
        handler.setFormatter(_Json())
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
    else:
        handler.setFormatter(_WithoutMessages(TRACED_LOG_FORMAT, DATE_FORMAT))
    for name in TWICE:
        logging.getLogger(name).propagate = False


def log_like_the_service() -> None:
    """Log as the service does, in a process that BentoML has not started."""
    configure_server_logging()  # type: ignore[no-untyped-call]
    log_to_stderr()


def refuse(error: StartupError) -> NoReturn:
    """End the process with one sentence, which stands for itself in text and is logged in JSON."""
    handler = _handler()
    if handler is not None and isinstance(handler.formatter, _Json):
        logger.critical("%s", error)
        sys.exit(1)
    sys.exit(f"credit_risk: {error}")


def _handler() -> logging.StreamHandler[Any] | None:
    handlers = logging.getLogger("bentoml").handlers
    return next((h for h in handlers if h.name == HANDLER and isinstance(h, logging.StreamHandler)), None)


def _log_uncaught(kind: type[BaseException], error: BaseException, where: Any) -> None:
    """Log what ends the process, with its message: no application is being decided outside the event loop."""
    logger.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, where))
