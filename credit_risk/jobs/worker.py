"""A worker: processes that run jobs, and one that looks after those that nobody runs. huey starts and watches them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huey.consumer import Consumer, Scheduler, Worker

from credit_risk.jobs.files import JobFiles
from credit_risk.jobs.postman import Postman, deliver_for_ever
from credit_risk.jobs.queue import Queue
from credit_risk.jobs.running import Runner
from credit_risk.jobs.store import JobStore
from credit_risk.jobs.sweeping import Sweeper, sweep_quietly

logger = logging.getLogger("bentoml.credit_risk")
LOOK_SECONDS = 1.0
POLL_SECONDS = (0.1, 1.0)  # the shortest and the longest between two looks into an empty queue of SQLite


@dataclass(frozen=True)
class Parts:
    """What the processes of a worker are made of. Each makes its own after the fork."""

    store: Callable[[], JobStore]
    runner: Callable[[JobStore, Callable[[], bool]], Runner]
    postman: Callable[[JobStore], Postman]
    queue: Queue
    files: JobFiles


def work(parts: Parts, processes: int, niceness: int) -> None:
    """Run jobs until SIGTERM or SIGINT. The chunk that is under way then ends; the rest of its job stays queued."""

    class JobWorker(Worker):  # type: ignore[misc] # huey has no types
        def initialize(self) -> None:
            _begin(niceness)
            runner = parts.runner(parts.store(), self.stop_flag.is_set)
            parts.queue.run_with(runner.run)

    class Caretaker(Scheduler):  # type: ignore[misc] # huey has no types
        """Takes the place of huey's scheduler, because no task waits in huey."""

        def initialize(self) -> None:
            _begin(niceness)
            self._sweeper = Sweeper(parts.store(), parts.queue, parts.files)
            deliveries = deliver_for_ever(parts.postman(parts.store()), LOOK_SECONDS)
            threading.Thread(target=asyncio.run, args=(deliveries,), daemon=True).start()

        def loop(self, now: Any = None) -> None:  # noqa: ARG002 - huey's signature
            sweep_quietly(self._sweeper)
            self.stop_flag.wait(LOOK_SECONDS)

    class JobConsumer(Consumer):  # type: ignore[misc] # huey has no types
        worker_class = JobWorker
        scheduler_class = Caretaker

    shortest, longest = POLL_SECONDS
    consumer = JobConsumer(
        parts.queue.huey,
        workers=processes,
        worker_type="process",
        initial_delay=shortest,
        max_delay=longest,
        health_check_interval=1,
        graceful_signal="TERM",
    )
    for asks_to_end in (signal.SIGINT, signal.SIGHUP):  # which huey takes for "at once" and "again"
        consumer._signal_actions[asks_to_end] = consumer._signal_actions[signal.SIGTERM]
    logging.getLogger("huey").setLevel(logging.WARNING)
    consumer.run()


def _begin(niceness: int) -> None:
    """Prepare a process that was forked: it gives way to the service, and ends with its parent."""
    os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent tells these
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
