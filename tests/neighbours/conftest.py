"""Real servers of others beside the service. REQUIRE_NEIGHBOURS=1 makes tests fail, instead of be skipped, without."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def redis_installed() -> None:
    if shutil.which("redis-server") is None:
        message = "redis-server is not installed; on Debian and Ubuntu `apt-get install redis-server`"
        if os.environ.get("REQUIRE_NEIGHBOURS") == "1":
            pytest.fail(message)
        pytest.skip(message)
