"""What every store of jobs must do; SQLite and Redis are tested alike."""

from __future__ import annotations

import threading
import time
from functools import partial

from credit_risk.jobs.changes import advance, cancel, claim, count
from credit_risk.jobs.ids import new_id
from credit_risk.jobs.job import Basis, Job, Lease, Source
from credit_risk.jobs.store import JobStore, change

BASIS = Basis(
    model="a_model:1", model_digest="0" * 64, policy="1" * 64, policy_version="1" * 12, catalogue="2" * 64, release="1"
)


def a_job(caller: str | None = None, size: int = 10, due: float = 1000.0) -> Job:
    return Job(
        id=new_id(),
        caller=caller,
        created=500.0,
        source=Source(form="csv", size=size),
        basis=BASIS,
        rows_at_once=100,
        keep_seconds=60,
        due=due,
        size=size,
    )


def check_finding(store: JobStore) -> None:
    """A job is found as it was kept, by its id, its caller and its time."""
    mine, later, others = a_job("me"), a_job("me", due=2000.0), a_job("you")
    nobodys = a_job(None)
    for job in (mine, later, others, nobodys):
        store.add(job)
    assert store.get(mine.id) == mine
    assert store.get(new_id()) is None
    assert store.of_caller("me", 10) == [later, mine]
    assert store.of_caller("me", 1) == [later]
    assert store.of_caller(None, 10) == [nobodys]
    assert {job.id for job in store.due(1000.0, 10)} == {mine.id, others.id, nobodys.id}
    assert store.due(999.9, 10) == []
    assert len(store.due(3000.0, 2)) == 2


def check_counting(store: JobStore) -> None:
    """Figures follow every change."""
    first, second = a_job("me", size=10), a_job("me", size=5)
    store.add(first)
    store.add(second)
    assert store.usage("me") == (2, 15)
    assert store.usage("you") == (0, 0)
    assert store.figures().jobs == {"queued": 2, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    assert store.figures().oldest == 500.0
    running = change(store, first.id, partial(claim, worker="w", now=900.0, seconds=10))
    assert running.lease is not None
    make = partial(
        advance, lease=running.lease, chunk=0, done=7, refused=2, decisions={"MAYBE": 5}, seconds=2, size=100
    )
    change(store, first.id, make, {"rows": 7})
    ended = change(store, second.id, partial(cancel, now=901.0), {"delivered": 1})
    assert store.usage("me") == (1, 110)
    assert store.figures().jobs == {"queued": 0, "running": 1, "succeeded": 0, "failed": 0, "cancelled": 1}
    assert store.figures().oldest is None
    assert store.figures().totals == {"rows": 7, "delivered": 1}
    assert store.replace(ended, None)
    assert store.get(second.id) is None
    assert store.of_caller("me", 10) == [store.get(first.id)]
    assert store.usage("me") == (1, 110)
    assert store.due(10_000, 10) == [store.get(first.id)]


def check_replacing(store: JobStore) -> None:
    """Only who has seen a job as it is may change it."""
    job = a_job()
    store.add(job)
    claimed = claim(job, "w", 900.0, 10)
    assert store.replace(job, claimed)
    assert not store.replace(job, claim(job, "another", 900.0, 10))
    assert not store.replace(job, None)
    assert store.get(job.id) == claimed
    assert store.replace(claimed, None)
    assert not store.replace(claimed, claimed)
    assert store.get(job.id) is None


def check_racing(store: JobStore) -> None:
    """Of many who claim a job at a time one gets it, and no change of many is lost."""
    job = a_job()
    store.add(job)
    won: list[Job] = []

    def compete(worker: str) -> None:
        claimed = claim(job, worker, 900.0, 1000)
        if store.replace(job, claimed):
            won.append(claimed)
        for rows in range(10):  # somebody has won by now
            change(store, job.id, lambda seen: count(seen, _lease_of(seen), rows))  # noqa: B023 - it is called at once

    threads = [threading.Thread(target=compete, args=(f"worker {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    found = store.get(job.id)
    assert found is not None
    assert found.lease == won[0].lease
    assert found.version == 2 + 80


def check_keys(store: JobStore) -> None:
    """A key is given once, until its time is over."""
    assert store.claim_key("a", "first", 60) is None
    assert store.claim_key("a", "second", 60) == "first"
    store.set_key("a", "third", 60)
    assert store.claim_key("a", "second", 60) == "third"
    store.drop_key("a")
    assert store.claim_key("a", "fourth", 0.05) is None
    time.sleep(0.1)
    assert store.claim_key("a", "fifth", 60) is None
    assert not store.replace_key("a", "fourth", "sixth", 60)
    assert not store.replace_key("b", "fourth", "sixth", 60)
    assert store.claim_key("b", "first", 60) is None
    assert store.replace_key("a", "fifth", "sixth", 60)
    assert store.claim_key("a", "seventh", 60) == "sixth"
    assert not store.replace_key("a", "fifth", None, 60)
    assert store.replace_key("a", "sixth", None, 60)
    assert store.claim_key("a", "seventh", 60) is None
    assert store.replace_key("a", "seventh", "eighth", 0.05)
    time.sleep(0.1)
    assert store.claim_key("a", "ninth", 60) is None
    assert store.claim_key("b", "second", 60) == "first"


def _lease_of(job: Job) -> Lease:
    assert job.lease is not None
    return job.lease


CHECKS = (check_finding, check_counting, check_replacing, check_racing, check_keys)
