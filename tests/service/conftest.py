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
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, whatever the logger was told to keep to itself."""
    for name in ("bentoml", "bentoml.serve", "bentoml.access", "credit_risk"):
        logger = logging.getLogger(name)
        logger.addHandler(caplog.handler)
        logger.setLevel(logging.DEBUG)
    return caplog
