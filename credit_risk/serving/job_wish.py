"""What a caller wants of a job besides its file, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass

from credit_risk.contract.errors import Detail, InvalidRequestError, LimitedError, TooLargeError
from credit_risk.jobs.addresses import Callback, RefusedError
from credit_risk.jobs.signature import Secret
from credit_risk.jobs.store import JobStore, Usage
from credit_risk.serving.job_store import ask
from credit_risk.serving.settings import Settings

MB = 2**20


@dataclass(frozen=True)
class Wish:
    """What a caller wants besides the file."""

    caller: str | None
    callback_url: str | None = None
    idempotency_key: str | None = None
    secret: Secret | None = None  # that signs notifications


async def check_wish(wish: Wish, size: int, store: JobStore, settings: Settings) -> None:
    """Refuse a job of so many bytes that is one too many, too large, or with a callback that may not be."""
    if size > settings.jobs_max_mb * MB:
        raise TooLargeError(settings.jobs_max_mb * MB)
    _check_callback(wish, settings)
    usage, figures = await ask(store.usage, wish.caller), await ask(store.figures)
    if usage.unfinished >= settings.jobs_per_caller:
        raise LimitedError(f"Wait until one of your {usage.unfinished} jobs has ended", 5)
    if figures.jobs["queued"] >= settings.jobs_queue:
        raise LimitedError("Too many jobs wait; try again later", 30)
    _check_room(usage, size, settings)


async def check_room(wish: Wish, size: int, store: JobStore, settings: Settings) -> None:
    """Refuse a file, which has come by now, for which the caller has no room left."""
    _check_room(await ask(store.usage, wish.caller), size, settings)


def _check_room(usage: Usage, size: int, settings: Settings) -> None:
    if usage.size + size > settings.jobs_mb_per_caller * MB:
        raise LimitedError(f"Forget old jobs with DELETE: yours may take {settings.jobs_mb_per_caller} MB together", 60)


def _check_callback(wish: Wish, settings: Settings) -> None:
    if wish.callback_url is None:
        return
    fault = None
    try:
        Callback.parse(wish.callback_url, settings.jobs_callback_networks)
    except RefusedError as error:
        fault = str(error)
    if fault is None and wish.secret is None:
        fault = "No secret signs notifications to you; have webhook_secret set for your API key"
    if fault is not None:
        detail = Detail(loc=["callback_url"], msg=fault, type="callback_url")
        raise InvalidRequestError("1 fault in the job: callback_url", [detail])
