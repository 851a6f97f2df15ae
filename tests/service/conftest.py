"""The service in process: the ASGI application that `bentoml serve` runs, without the server."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def client(trained: str) -> Iterator[TestClient]:  # noqa: ARG001 - the store must be filled
    """One for the session: BentoML's metrics refuse to be registered twice."""
    from service import svc  # resolves the model when imported

    with TestClient(svc.to_asgi(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged, even by loggers that don't propagate."""
    loggers = [logging.getLogger(name) for name in ("bentoml", "bentoml.serve", "bentoml.access", "credit_risk")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(caplog.handler)
        logger.setLevel(logging.DEBUG)
    yield caplog
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
