"""What /metrics shows of jobs, over real stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from credit_risk.jobs.ids import new_id
from credit_risk.jobs.job import STATES, Basis, Job, Source
from credit_risk.serving.job_metrics import JobMetrics
from credit_risk.serving.job_store import open_store
from credit_risk.serving.settings import Settings
from tests.redis_server import redis_server

BASIS = Basis(model="m:1", model_digest="d", policy="p", policy_version="p", catalogue="c", release="r")


@pytest.fixture(params=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    with contextmanager(_PLACES[request.param])(tmp_path) as place:
        yield Settings(jobs=place, jobs_folder=tmp_path)


def _in_a_file(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/jobs.sqlite"


def _in_redis(_: Path) -> Iterator[str]:
    with redis_server() as server:
        yield server.url


_PLACES: dict[str, Callable[[Path], Iterator[str]]] = {"sqlite": _in_a_file, "redis": _in_redis}


def job(**fields: Any) -> Job:
    kept: dict[str, Any] = {"rows_at_once": 1, "keep_seconds": 1, "due": 0, "source": Source(form="csv")}
    return Job(id=new_id(), caller=None, basis=BASIS, **(kept | {"created": time.time()} | fields))


def shown(metrics: JobMetrics, registry: CollectorRegistry) -> dict[str, float]:
    metrics.look()
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_the_store_is_shown_as_it_is(settings: Settings) -> None:
    registry = CollectorRegistry()
    metrics = JobMetrics(settings, registry)
    store = open_store(settings)
    waiting = job(created=time.time() - 500)
    for each in (waiting, job(), job(state="running"), job(state="failed")):
        store.add(each)
    at_first = shown(metrics, registry)
    assert {state: at_first[f"credit_risk_jobs/{state}"] for state in STATES} == {
        "queued": 2,
        "running": 1,
        "succeeded": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert 500 <= at_first["credit_risk_job_oldest_seconds"] < 1000
    assert at_first["credit_risk_job_rows"] == 0
    assert at_first["credit_risk_job_store_up"] == 1
    done = waiting.model_copy(update={"version": 2, "state": "succeeded"})
    store.replace(waiting, done, {"rows": 7, "delivered": 2, "not_delivered": 3})
    later = shown(metrics, registry)
    assert later["credit_risk_jobs/queued"] == later["credit_risk_jobs/succeeded"] == 1
    assert later["credit_risk_job_oldest_seconds"] < 500
    assert later["credit_risk_job_rows"] == 7
    assert later["credit_risk_job_deliveries/delivered"] == 2
    assert later["credit_risk_job_deliveries/not_delivered"] == 3


def test_a_service_that_has_no_job_shows_so_and_makes_no_file(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    place = tmp_path / "jobs.sqlite"
    told = shown(JobMetrics(Settings(jobs=f"sqlite:///{place}"), registry), registry)
    assert told.pop("credit_risk_job_store_up") == 1
    assert set(told.values()) == {0}
    assert len(told) == 9
    assert list(tmp_path.iterdir()) == []


def test_while_the_store_is_down_its_last_figures_stay(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with redis_server() as server:
        settings = Settings(jobs=server.url, jobs_folder=tmp_path)
        metrics = JobMetrics(settings, registry)
        open_store(settings).add(job())
        assert shown(metrics, registry)["credit_risk_job_store_up"] == 1
        server.kill()
        down = shown(metrics, registry)
        assert (down["credit_risk_job_store_up"], down["credit_risk_jobs/queued"]) == (0, 1)
        server.start()
        again = shown(metrics, registry)
        assert (again["credit_risk_job_store_up"], again["credit_risk_jobs/queued"]) == (1, 0)
