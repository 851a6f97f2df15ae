"""Where the chunks of a job are decided: in the worker, or on a Ray cluster. What comes of them is the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from credit_risk.contract.errors import UnavailableError
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import Block
from credit_risk.portfolio.outcome import split_outcome
from credit_risk.portfolio.readers import Lines, check
from credit_risk.portfolio.recording import RECORD

Rows = Block | Lines  # as they were read
AHEAD = 2  # chunks for each processor of the cluster


class Outcome(NamedTuple):
    """What came of a chunk."""

    decisions: pa.RecordBatch
    records: list[bytes]  # lines, one for each decision
    rejects: pa.RecordBatch


Engine = Callable[[BatchDecider, Iterable[Rows]], Iterator[Outcome]]


def decide(decider: BatchDecider, rows: Rows) -> Outcome:
    """Check and decide the rows of a chunk."""
    decisions, rejects = split_outcome(decider.decide(check(rows)))
    return Outcome(decisions.drop_columns([RECORD]), decisions[RECORD].to_pylist(), rejects)


def here(decider: BatchDecider, chunks: Iterable[Rows]) -> Iterator[Outcome]:
    """Decide chunks in this process, each when it is asked for."""
    return (decide(decider, rows) for rows in chunks)


def on_ray(address: str) -> Engine:
    """Make an engine of a Ray cluster. It decides some chunks ahead, and Ray decides those again whose machine fails.

    The engine raises UnavailableError if the cluster fails, and what `decide` raises.
    """
    import ray

    from credit_risk.portfolio.ray_engine import RayFailedError, connected

    def got(outcome: Any) -> Outcome:
        try:
            found: Outcome = ray.get(outcome)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        return found

    def decided(decider: BatchDecider, chunks: Iterable[Rows]) -> Iterator[Outcome]:
        under_way: deque[Any] = deque()
        try:
            with connected(address, None):
                most = AHEAD * int(ray.cluster_resources()["CPU"])
                task, held = ray.remote(decide), ray.put(decider)
                for rows in chunks:
                    under_way.append(task.remote(held, rows))
                    if len(under_way) >= most:
                        yield got(under_way.popleft())
                while under_way:
                    yield got(under_way.popleft())
        except RayFailedError as error:
            raise UnavailableError(str(error)) from None

    return decided
