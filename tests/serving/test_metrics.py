from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from credit_risk.serving import metrics as module
from credit_risk.serving.metrics import Metrics


def test_under_load_one_flush_is_due_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flush brings the queue's depth back to 0 by another one; they must not breed."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    flushes = 0
    flush = Metrics.flush

    def counted(self: Metrics) -> None:
        nonlocal flushes
        flushes += 1
        flush(self)

    monkeypatch.setattr(Metrics, "flush", counted)

    async def load() -> None:
        metrics = Metrics()
        for _ in range(200):
            metrics.queued(5)
            metrics.answered("/classify", HTTPStatus.OK, 0.001)
            await asyncio.sleep(0.001)

    asyncio.run(load())
    assert 1 <= flushes <= 100
