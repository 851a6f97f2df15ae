"""The store and the queue of jobs, as the settings name them, and how an event loop asks them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from credit_risk.contract.errors import SettingError, UnavailableError
from credit_risk.jobs.files import JobFiles
from credit_risk.jobs.store import JobStore, StoreError
from credit_risk.serving.settings import Settings

if TYPE_CHECKING:
    from credit_risk.jobs.queue import Queue

T = TypeVar("T")
logger = logging.getLogger("bentoml.credit_risk")
SQLITE = "sqlite:///"
OFF = "off"
NOT_NOW = "Jobs can't be taken or looked up now"
RETRY_SECONDS = 5


def check_jobs(settings: Settings) -> None:
    """Raise SettingError if jobs can't be kept where the settings say."""
    if settings.jobs == OFF:
        return
    JobFiles(settings.jobs_folder).check()
    if not settings.jobs.startswith(SQLITE):
        try:
            store = open_store(settings)
            store.figures()
            store.leave()
        except StoreError as error:
            raise SettingError(f"CREDIT_RISK_JOBS: {error}; start it, or name another, or off") from None


def open_store(settings: Settings) -> JobStore:
    """Open the store that the settings name. Raises StoreError if it does not answer."""
    if settings.jobs.startswith(SQLITE):
        from credit_risk.jobs.sqlite_store import SqliteJobs

        return SqliteJobs(Path(settings.jobs.removeprefix(SQLITE)))
    from credit_risk.jobs.redis_store import RedisJobs

    return RedisJobs(settings.jobs)


def open_queue(settings: Settings) -> Queue:
    """Open the queue beside the store."""
    from credit_risk.jobs.queue import Queue  # huey imports Redis's client

    return Queue(settings.jobs)


async def ask(call: Callable[..., T], *arguments: Any) -> T:
    """Call what waits for the store, in a thread. Raises UnavailableError if it does not answer."""
    try:
        return await asyncio.to_thread(call, *arguments)
    except StoreError as error:
        logger.warning("%s: %s", NOT_NOW, error)
        raise UnavailableError(NOT_NOW, RETRY_SECONDS) from None
