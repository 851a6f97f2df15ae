"""The desk at which jobs are handed in: limits, callers, idempotency keys, and what can't be kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.conflicts import ConflictError, KeyReusedError, StorageFullError
from credit_risk.contract.errors import (
    InvalidRequestError,
    LimitedError,
    NotFoundError,
    RequestError,
    TooLargeError,
    UnavailableError,
)
from credit_risk.jobs.files import JobFolder
from credit_risk.jobs.job import Job
from credit_risk.jobs.queue import Queue
from credit_risk.jobs.signature import Secret
from credit_risk.jobs.sqlite_store import SqliteJobs
from credit_risk.jobs.store import StoreError
from credit_risk.model.store import StoredModel
from credit_risk.serving.job_wish import Wish
from tests.jobs.conftest import Workshop, workshop

__all__ = ["workshop"]  # a fixture
LINE = EXAMPLE.model_dump_json().encode() + b"\n"
SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr")


def hand_in(workshop: Workshop, caller: str | None = None, content: bytes = LINE, **wish: Any) -> Job:
    return workshop.hand_in(content, "ndjson", Wish(caller, **wish))


def folders_of(workshop: Workshop) -> list[str]:
    return [path.name for path in workshop.files.folder.iterdir() if path.name != "archive"]


def test_a_job_is_its_callers_alone(workshop: Workshop) -> None:
    mine = hand_in(workshop, "me")
    desk = workshop.desk
    assert asyncio.run(desk.find("me", mine.id)) == mine
    for other in ("you", None):
        with pytest.raises(NotFoundError):
            asyncio.run(desk.find(other, mine.id))
        with pytest.raises(NotFoundError):
            asyncio.run(desk.give_up(other, mine.id))
        assert asyncio.run(desk.listed(other)) == []
    assert asyncio.run(desk.listed("me")) == [mine]


def test_a_cancelled_job_takes_no_room(workshop: Workshop) -> None:
    job = hand_in(workshop, "me")
    assert workshop.store.usage("me") == (1, len(LINE))
    cancelled = asyncio.run(workshop.desk.give_up("me", job.id))
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert workshop.store.usage("me") == (0, 0)
    assert folders_of(workshop) == []


@pytest.mark.parametrize(
    ("settings", "content", "error", "said"),
    [
        ({"jobs_per_caller": 1}, LINE, LimitedError, "Wait until one of your 1 jobs has ended"),
        ({"jobs_queue": 1}, LINE, LimitedError, "Too many jobs wait; try again later"),
        (
            {"jobs_mb_per_caller": 1},
            LINE * 6000,
            LimitedError,
            "Forget old jobs with DELETE: yours may take 1 MB",
        ),
        ({"jobs_max_mb": 1}, LINE * 6000, TooLargeError, "Send at most 1048576 bytes in a request"),
    ],
)
def test_callers_have_limits(
    tmp_path: Path, model: StoredModel, settings: dict[str, int], content: bytes, error: type[RequestError], said: str
) -> None:
    workshop = Workshop(tmp_path, model, **settings)
    first = hand_in(workshop, "me")
    with pytest.raises(error, match=said) as raised:
        hand_in(workshop, "me", content)
    assert ("retry-after" in raised.value.headers) == (error is LimitedError)
    assert folders_of(workshop) == [first.id]
    if error is LimitedError:
        workshop.run(first)
        asyncio.run(workshop.desk.give_up("me", first.id))
        assert hand_in(workshop, "me").state == "queued"


def test_the_same_key_makes_one_job_and_another_request_with_it_none(workshop: Workshop) -> None:
    first = hand_in(workshop, "me", idempotency_key="k")
    assert hand_in(workshop, "me", idempotency_key="k") == first
    assert hand_in(workshop, "you", idempotency_key="k").id != first.id
    for content, url in ((LINE * 2, None), (LINE, "https://example.com")):
        with pytest.raises(KeyReusedError):
            hand_in(workshop, "me", content, idempotency_key="k", callback_url=url, secret=SECRET)
    assert len(folders_of(workshop)) == 2
    workshop.run(first)
    asyncio.run(workshop.desk.give_up("me", first.id))
    with pytest.raises(ConflictError, match="is forgotten; send another key"):
        hand_in(workshop, "me", idempotency_key="k")


def test_a_key_that_is_under_way_is_told_and_a_failed_request_frees_it(workshop: Workshop) -> None:
    wish = Wish("me", idempotency_key="k")

    async def meet() -> None:
        begun = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            begun.set()
            await asyncio.sleep(30)
            yield LINE

        first = asyncio.create_task(workshop.desk.take_file(wish, "ndjson", slow(), None))
        await begun.wait()
        with pytest.raises(ConflictError, match="is under way") as raised:
            await workshop.desk.take_application(wish, LINE)
        assert raised.value.headers["retry-after"] == "1"
        first.cancel()  # the caller has gone
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(meet())
    assert folders_of(workshop) == []
    assert hand_in(workshop, "me", idempotency_key="k").state == "queued"


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("https://127.0.0.1/", SECRET, "The callback URL leads to an inside address"),
        ("http://example.com/", SECRET, "The callback URL must begin with https://"),
        (
            "https://example.com/",
            None,
            "No secret signs notifications to you; have webhook_secret set for your API key",
        ),
    ],
)
def test_a_callback_that_can_not_be_is_refused(workshop: Workshop, url: str, secret: Secret | None, said: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        hand_in(workshop, callback_url=url, secret=secret)
    assert raised.value.detail == [{"loc": ["callback_url"], "msg": said, "type": "callback_url"}]
    assert url not in raised.value.body.decode()


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_what_can_not_be_kept_is_refused_and_leaves_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    for owner, name, error, expected in (
        (JobFolder, "make", full, StorageFullError),
        (SqliteJobs, "add", StoreError("gone"), UnavailableError),
        (SqliteJobs, "figures", StoreError("gone"), UnavailableError),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, raising(error))
            with pytest.raises(expected):
                hand_in(workshop, idempotency_key=name)
        assert workshop.store.figures().jobs["queued"] == 0
    assert folders_of(workshop) == []


def test_a_job_that_could_not_be_put_into_the_queue_is_found_by_the_sweep(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Queue, "put", raising(StoreError("gone")))
        job = hand_in(workshop)
    assert workshop.queue.huey.dequeue() is None
    workshop.sweeper.sweep(job.due - 1)
    assert workshop.queue.huey.dequeue() is None
    workshop.sweeper.sweep(job.due)
    assert workshop.queue.huey.dequeue().args == (job.id,)
