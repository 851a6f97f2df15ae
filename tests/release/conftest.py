"""The whole training of the bundled rows: these tests are about its figures."""

from __future__ import annotations

import pytest

from tests.conftest import train


@pytest.fixture(scope="session")
def trained() -> str:
    """What train.py printed when it filled the run's model store."""
    result = train()
    assert result.returncode == 0, result.stderr
    return result.stdout
