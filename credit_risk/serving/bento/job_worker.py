"""The worker of jobs that the service starts beside itself."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
import time

from credit_risk.serving.settings import PROJECT

logger = logging.getLogger("bentoml.credit_risk")
PAUSE_SECONDS = 2.0  # before a worker that ended is started again
END_SECONDS = 10.0  # for the chunk that is under way


def run_jobs(processes: int) -> None:
    """Keep a worker of so many processes running as long as this process does. To be called in the parent."""
    if processes:
        beside = _Beside([sys.executable, "-m", "credit_risk", "worker", "--processes", str(processes), "--beside"])
        atexit.register(beside.end)
        threading.Thread(target=beside.run, daemon=True).start()
        logger.info("Jobs are run by %s processes beside the service", processes)


class _Beside:
    """A process that is started again whenever it ends."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self._is_over:
            # Away from a terminal's signals, and with the package of this service, which may be a bento's.
            path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
            environment = os.environ | {"PYTHONPATH": path}
            self._process = subprocess.Popen(self._command, env=environment, start_new_session=True)
            self._process.wait()
            if not self._is_over:
                logger.error("The worker of jobs has ended unasked; another one is started")
                time.sleep(PAUSE_SECONDS)

    def end(self) -> None:
        self._is_over = True
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:  # its jobs go on elsewhere when their leases are over
                self._process.kill()
