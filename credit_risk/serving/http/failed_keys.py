"""Requests without a valid API key: guessing is made slow, and seen in the log by address, never with the token."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

logger = logging.getLogger("bentoml.credit_risk")

SECONDS = 0.5  # that each such request waits for its answer
MOST_WAITING = 100  # such requests; connections are worth more than slowness
MOST_ADDRESSES = 1000
REPORT_SECONDS = 60.0
OTHERS = "other addresses"


class FailedKeys:
    """Those of one worker. To be used on its event loop only."""

    def __init__(self) -> None:
        self._unreported: Counter[str] = Counter()
        self._report_is_due = False
        self._waiting = 0

    async def note(self, address: str) -> None:
        """Count a request without a valid key, and let it wait."""
        self._unreported[address if len(self._unreported) < MOST_ADDRESSES else OTHERS] += 1
        if not self._report_is_due:
            self._report()
        if self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                await asyncio.sleep(SECONDS)
            finally:
                self._waiting -= 1

    def _report(self) -> None:
        """Log a line for each address, at once and then once a minute as long as there is something to log."""
        for address, count in self._unreported.items():
            logger.warning("Requests without a valid API key from %s: %d", address, count)
        self._report_is_due = bool(self._unreported)
        self._unreported.clear()
        if self._report_is_due:
            asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report)
