"""Decide a folder of files on a Ray cluster, or on a Ray of this machine's own.

Only the names of files and what came of them go through Ray. A worker reads a file, decides it chunk by chunk and
writes what came of it, so its memory does not grow with the file. If it dies, Ray has another one do the file again,
which writes the same files anew.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import ray
import ray.data

import credit_risk
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import CreditRiskError, DataError
from credit_risk.model.lean_import import without_scikit_learn
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import Report
from credit_risk.portfolio.folder import Part, Target
from credit_risk.portfolio.readers import read_rows
from credit_risk.portfolio.work import Counts, Outputs, work

OBJECT_STORE = 100_000_000  # bytes; next to nothing goes through it
CLIENT = "ray://"  # how the address of a cluster starts for those who are not within it
_COUNTS = [(name, pa.int64()) for name in ("part", *STATUSES, "refused")]
_FOUND = pa.schema([*_COUNTS, ("fault", pa.string())])


class RayFailedError(DataError):
    """Ray does not do what it should. It may do so later."""


class Job(NamedTuple):
    """What is to be done with the files of a folder."""

    parts: list[Part]
    decider: BatchDecider
    decisions: Target
    rejects: Target
    suffix: str  # of the files of decisions
    rows_at_once: int


def decide_parts(job: Job, address: str | None, workers: int | None, report: Report) -> Counts:
    """Decide files by `workers` processes, by default as many as there are cores.

    Without an address a Ray is started here, and ended. Raises DataError with what is wrong with a file.
    """
    total = Counts()
    with connected(address, workers):
        size = min(workers or int(ray.cluster_resources()["CPU"]), len(job.parts))
        rows = _rows_from_afar(job, size) if address and address.startswith(CLIENT) else _rows(job, size)
        for done, row in enumerate(rows, 1):
            if row["fault"]:
                raise DataError(row["fault"])
            total.add(Counts(Counter({status: row[status] for status in STATUSES if row[status]}), row["refused"]))
            report(done / len(job.parts))
    return total


def _rows(job: Job, size: int) -> Iterator[dict[str, Any]]:
    """Have workers decide the files, and give what came of each as it is done."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    parts = ray.data.from_items([{"part": part.number} for part in job.parts], override_num_blocks=len(job.parts))
    found = parts.map_batches(
        _Worker,
        fn_constructor_args=(job,),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
    )
    yield from found.iter_rows()


def _rows_from_afar(job: Job, size: int) -> Iterator[dict[str, Any]]:
    """Do the same within the cluster, because Ray Data can't be driven by a client from outside."""
    driver = ray.remote(num_cpus=0)(_Driver).remote(job, size)
    while row := ray.get(driver.next.remote()):
        yield row


class _Driver:
    """Has workers decide the files, in a process of the cluster."""

    def __init__(self, job: Job, size: int) -> None:
        self._rows = _rows(job, size)

    def next(self) -> dict[str, Any] | None:
        return next(self._rows, None)


class _Worker:
    """Decides files in a process of its own."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with without_scikit_learn():
            job.decider.load()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Decide the files whose numbers the batch gives."""
        return pa.Table.from_pylist([self._decide(self._job.parts[part]) for part in batch["part"].to_pylist()], _FOUND)

    def _decide(self, part: Part) -> dict[str, Any]:
        try:
            counts = self._written(part)
        except CreditRiskError as error:
            return {"part": part.number, "fault": str(error)}
        except Exception as error:  # its text may hold applicants' data, and Ray would log it
            kind = "it can't be written" if isinstance(error, OSError) else type(error).__name__
            fault = f"{part.file} was not decided: {kind}; see whether its place has room, and whether it is whole"
            return {"part": part.number, "fault": fault}
        return {"part": part.number, **counts.statuses, "refused": counts.refused}

    def _written(self, part: Part) -> Counts:
        job, total = self._job, Counts()
        name = f"part-{part.number:05}"
        with ExitStack() as stack:
            rejects = stack.enter_context(job.rejects.open(f"{name}.csv"))
            decisions = stack.enter_context(job.decisions.open(name + job.suffix))
            outputs = Outputs(decisions, rejects)
            for rows in read_rows(part.file, job.rows_at_once, lambda _: None):
                total.add(outputs.write(work(rows, job.decider, job.suffix, decisions.layout, part.name)))
            decisions.whole, rejects.whole = bool(total.statuses), total.refused > 0
        return total


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """Use a cluster, or without an address a Ray that ends afterwards. Raises RayFailedError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is raised
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
            ray.init("local", num_cpus=workers, _node_ip_address="127.0.0.1", **own, **quiet)
        else:
            ray.init(address, runtime_env={"py_modules": [str(Path(credit_risk.__file__).parent)]}, **quiet)
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own there
        yield
    except (ConnectionError, ray.exceptions.RayError) as error:
        last = str(error).strip().splitlines()[-1]
        raise RayFailedError(f"Ray has failed: {last}; see whether --address is right, and Ray's logs") from None
    finally:
        ray.shutdown()
