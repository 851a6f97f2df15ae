"""The log of a process as BentoML sets it up, and as the service changes that."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bentoml._internal import log

from credit_risk.contract.errors import DependencyError
from credit_risk.serving.bento.internals import check_internals
from tests.conftest import PROJECT, user_environment

SECRET = "87654.0"
SET_UP = """
import logging, sys, warnings
from bentoml._internal.log import configure_server_logging
configure_server_logging()
from credit_risk.contract.errors import StartupError
from credit_risk.serving.bento.logs import log_to_stderr, refuse
log_to_stderr()
def fail(income):
    raise ValueError(f"income of {income}")
"""
LOGGERS = (
    "bentoml.serve",
    "uvicorn.error",
    "uvicorn.access",
    "circus",
    "credit_risk",
    "any",
    "bentoml.credit_risk",
)


def logged(code: str, log_format: str) -> tuple[int, str]:
    """Run this in a process of its own; give its exit status and what it logged. Nothing goes to stdout."""
    environment = user_environment() | {"CREDIT_RISK_LOG_FORMAT": log_format}
    command = [sys.executable, "-c", SET_UP + code]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def objects(code: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(code, "json")[1].splitlines()]


WARN_EACH = (
    f"for name in {LOGGERS}: logging.getLogger(name).warning('careful, %s', name, extra={{'color_message': '-'}})"
)


def test_every_logger_writes_one_object_a_line() -> None:
    lines = objects(WARN_EACH)
    assert [line["logger"] for line in lines] == list(LOGGERS)
    for line in lines:
        assert set(line) == {"time", "level", "logger", "message"}
        assert (line["level"], line["message"]) == ("WARNING", f"careful, {line['logger']}")
        time = datetime.fromisoformat(line["time"])
        assert time.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - time) < timedelta(hours=1)


def test_every_logger_writes_text() -> None:
    lines = logged(WARN_EACH, "text")[1].splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == list(LOGGERS)
    assert all(" [WARNING] " in line for line in lines)


@pytest.mark.parametrize("name", LOGGERS)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_without_the_message_of_the_exception(name: str, log_format: str) -> None:
    code = f"try: fail({SECRET})\nexcept ValueError: logging.getLogger('{name}').exception('failed')"
    text = logged(code, log_format)[1]
    assert "in fail" in text
    assert "ValueError" in text
    assert SECRET not in text


def test_a_traceback_is_one_field() -> None:
    code = "try: fail(1)\nexcept ValueError: logging.getLogger('any').exception('failed')"
    [line] = objects(code)
    assert line["message"] == "failed"
    assert line["traceback"].splitlines()[-1] == "ValueError"
    assert "in fail" in line["traceback"]


def test_the_id_of_a_request_is_a_field() -> None:
    [line] = objects("logging.getLogger('credit_risk').error('failed', extra={'request_id': 'abc-123'})")
    assert line["request_id"] == "abc-123"


def test_warnings_and_what_ends_a_process_are_logged_too() -> None:
    warning, end = objects("warnings.warn('careful')\nfail(1)")
    assert (warning["logger"], warning["level"]) == ("py.warnings", "WARNING")
    assert end["message"] == "ValueError: income of 1"
    assert "in <module>" in end["traceback"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_refusal_to_start_is_one_line(log_format: str) -> None:
    status, line = logged("refuse(StartupError('there is no model'))", log_format)
    assert status == 1
    if log_format == "text":
        assert line == "credit_risk: there is no model\n"
    else:
        content = json.loads(line)
        assert (content["level"], content["message"]) == ("CRITICAL", "there is no model")


def test_a_handler_that_is_called_otherwise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(log.SERVER_LOGGING_CONFIG, "handlers", {"otherwise": {}})
    with pytest.raises(DependencyError, match=r"bentoml [\d.]+ has no SERVER_LOGGING_CONFIG.tracehandler"):
        check_internals()
