"""Reviews and outcomes as a caller puts them on record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.errors import DataError, UnavailableError
from credit_risk.contract.event import Asking
from credit_risk.contract.event_parsing import parse_outcome, parse_review, reasons_of
from credit_risk.contract.refusals import QUEUE_FULL
from credit_risk.record.events import NOT_RECORDED, EventLog, Recorded
from credit_risk.record.writer import OFF, STDOUT
from credit_risk.serving.routes import OUTCOME, REVIEW
from credit_risk.serving.sealing import open_seal
from credit_risk.serving.settings import Settings

T = TypeVar("T")
logger = logging.getLogger("bentoml.credit_risk")
MOST_WAITING = 100  # in a worker


def keeps_events(settings: Settings) -> bool:
    """Tell whether there is a log in a folder, to which reviews and outcomes can be added."""
    return settings.decision_log not in (OFF, STDOUT)


def paths_of_reviews(settings: Settings) -> frozenset[str]:
    """Give the routes of reviews, if there are any."""
    return frozenset({REVIEW, OUTCOME}) if keeps_events(settings) else frozenset()


def open_event_log(settings: Settings, folder: str) -> EventLog:
    """Open the events in the folder of a log. Raises SettingError if they can't be sealed."""
    return EventLog(
        Path(folder),
        open_seal(settings, folder),
        settings.decision_log_rotate_mb * 2**20,
        encrypts=settings.decision_log_encrypt,
    )


class ReviewDesk:
    """Where reviews and outcomes are handed in. Its methods raise RequestError."""

    def __init__(self, settings: Settings, catalogue: Callable[[], Catalogue], release: str) -> None:
        self._log = open_event_log(settings, settings.decision_log)
        self._catalogue = catalogue
        self._release = release
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reviews")
        self._waiting = 0

    async def review(self, decision_id: str, body: bytes, caller: str | None, request_id: str) -> Recorded:
        """Put a review on record, unless it is there already."""
        review = parse_review(body)
        reasons = reasons_of(review, self._catalogue())
        asking = Asking(request_id=request_id, caller=caller, service=self._release)
        return await self._in_thread(lambda: self._log.review(decision_id, review, reasons, asking))

    async def outcome(self, decision_id: str, body: bytes, caller: str | None, request_id: str) -> Recorded:
        """Put an outcome on record, unless it is there already."""
        outcome = parse_outcome(body)
        asking = Asking(request_id=request_id, caller=caller, service=self._release)
        return await self._in_thread(lambda: self._log.outcome(decision_id, outcome, asking))

    async def _in_thread(self, record: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise UnavailableError(QUEUE_FULL)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, record)
        except DataError as error:
            logger.error("A review or outcome can't be recorded: %s", error)
            raise UnavailableError(NOT_RECORDED) from None
        finally:
            self._waiting -= 1
