"""Jobs in a real Redis, while workers, the service and Redis itself are killed."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT
from tests.redis_server import require_redis_server


def test_nothing_is_lost_and_nothing_repeated() -> None:
    require_redis_server()
    kills = ["--worker-kills", "5", "--service-kills", "1", "--redis-kills", "1"]
    command = [sys.executable, "-m", "tests.e2e.job_mishaps", "--jobs", "4", "--rows", "6000", "--redis", *kills]
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "faults: 0" in finished.stdout
