from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.neighbours.mlserver import MLSERVER, MLServer, export, running


@pytest.fixture(scope="session")
def exported(trained: str, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - the store must be filled
    """What `python -m deploy.model_server export` writes for MLServer."""
    if not MLSERVER.exists():
        if os.environ.get("REQUIRE_NEIGHBOURS"):
            pytest.fail(f"there is no {MLSERVER}: run .ci/model-server")
        pytest.skip("MLServer is not installed: run .ci/model-server")
    folder = tmp_path_factory.mktemp("mlserver")
    result = export(folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def mlserver(exported: Path) -> Iterator[MLServer]:
    with running(exported) as server:
        yield server
