"""Decide the chunks of a file on several cores of this machine, in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from threading import Thread

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import Block
from credit_risk.portfolio.readers import Lines
from credit_risk.portfolio.work import Counts, Done, Outputs, work
from credit_risk.portfolio.writer import Layout

SMALL = 1_000_000  # bytes of a file that one process decides before two have started
AHEAD = 2  # chunks that wait for a worker, so that none waits for a chunk
PATIENCE = 5.0  # seconds without a result until it is seen whether the pool is whole
Submit = Callable[[Block | Lines, str, Layout | None], Callable[[], Done]]


def workers_for(path: Path) -> int:
    """Choose a number of workers: all cores that this process may use, or 1 for a file that is decided sooner so."""
    if not path.exists() or path.stat().st_size < SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(workers: int) -> None:
    """Begin to import what workers need, while this process still has other things to do."""
    if workers > 1:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the workers are as many as the cores
        forkserver.set_forkserver_preload(["credit_risk.portfolio.preload"])
        forkserver.ensure_running()


def decide_all(chunks: Iterable[Block | Lines], decider: BatchDecider, outputs: Outputs, workers: int) -> Counts:
    """Decide and write chunks, in order, with the same bytes for any number of workers: one works in this process.

    Raises DataError if a worker dies.
    """
    total = Counts()
    with _submitting(decider, workers) as submit:
        under_way: deque[Callable[[], Done]] = deque()
        for chunk in chunks:
            under_way.append(submit(chunk, outputs.decisions.suffix, outputs.decisions.layout))
            if len(under_way) >= (workers + AHEAD if workers > 1 else 1):
                total.add(outputs.write(under_way.popleft()()))
        while under_way:
            total.add(outputs.write(under_way.popleft()()))
    return total


@contextmanager
def _submitting(decider: BatchDecider, workers: int) -> Iterator[Submit]:
    if workers == 1:
        yield lambda chunk, suffix, layout: lambda: work(chunk, decider, suffix, layout)
        return
    # A process that is forked with threads may hang, and one that is spawned imports everything anew.
    context = multiprocessing.get_context("forkserver")
    prepare(workers)
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, context, _start, (decider,)) as pool:
        try:
            yield lambda chunk, suffix, layout: partial(_wait, pool, pool.submit(_work, chunk, suffix, layout))
        except BaseException as error:
            # What is under way does not count. A pool that breaks while it starts a process would wait for that one.
            for process in multiprocessing.active_children():
                if process not in others:
                    process.kill()
            if isinstance(error, BrokenProcessPool | ConnectionError):
                fix = "if memory was short, lower --workers or --rows-at-once"
                raise DataError(f"a worker process died, so nothing was written; {fix}") from None
            raise


def _wait(pool: ProcessPoolExecutor, done: Future[Done]) -> Done:
    """Wait for a result. A pool that breaks while it takes a task may forget that task, but it takes no more."""
    while True:
        try:
            return done.result(PATIENCE)
        except TimeoutError:
            pool.submit(int)


_decider: BatchDecider


def _start(decider: BatchDecider) -> None:
    """Prepare a worker. Ctrl-C is for the process that it works for, whose end is its own."""
    global _decider
    _decider = decider
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # not SIGTERM, by which the pool ends it if another one has died
    Thread(target=_end_with_parent, daemon=True).start()
    decider.load()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(chunk: Block | Lines, suffix: str, layout: Layout | None) -> Done:
    return work(chunk, _decider, suffix, layout)
