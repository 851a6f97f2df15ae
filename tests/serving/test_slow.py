from __future__ import annotations

import logging

import pytest

from credit_risk.deciding.laps import Laps
from credit_risk.serving import slow
from credit_risk.serving.slow import MOST_LINES, SlowLog


def laps() -> Laps:
    laps = Laps(lambda *_: None, "single", 0.0)
    laps.ends += [("read", 0.001), ("queue", 0.25)]
    laps.request_id = "a-request"
    return laps


def test_nothing_is_slow_without_a_bound() -> None:
    assert SlowLog(None).seconds == float("inf")
    assert SlowLog(250).seconds == 0.25


def test_a_line_says_where_the_time_went(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "credit_risk"):
        SlowLog(1).note("/classify", 200, 0.251, laps())
    [record] = caplog.records
    assert record.getMessage() == (
        "Slow request a-request: /classify answered 200 after 251.0 ms: read 1.0, queue 249.0"
    )
    assert record.__dict__["stages_ms"] == {"read": 1.0, "queue": 249.0}
    assert "trace_id" not in record.__dict__


def test_under_overload_the_log_does_not_fill(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5.0
    monkeypatch.setattr(slow, "perf_counter", lambda: now)
    log = SlowLog(1)
    with caplog.at_level(logging.WARNING, "credit_risk"):
        for _ in range(MOST_LINES + 25):
            log.note("/classify", 200, 1.0, laps())
        now = 6.0
        log.note("/classify", 200, 1.0, laps())
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == MOST_LINES + 2
    assert messages[MOST_LINES] == "25 more slow requests were not logged"
