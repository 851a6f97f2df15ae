"""Refusals of POST /classify for overload, at the end of a request's head, before anything more is spent on it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from credit_risk.contract.errors import UnavailableError
from credit_risk.contract.refusals import TOO_BUSY, WAITED_TOO_LONG
from credit_risk.serving.answers import Headers, refusal
from credit_risk.serving.bento.head import head_of
from credit_risk.serving.concurrency import ConcurrencyLimit
from credit_risk.serving.request_ids import request_id_of

Shed = Callable[[str], None]


class Shedding:
    """Decides what is refused in a worker, and says so in the contract's words."""

    def __init__(
        self, limit: ConcurrencyLimit, max_latency: float, is_draining: Callable[[], bool], shed: Shed
    ) -> None:
        """`max_latency` is in seconds; `shed` is told each reason.

        While `is_draining`, nothing is refused here, because callers have to be told of it.
        """
        self.limit = limit
        self._max_latency = max_latency
        self._is_draining = is_draining
        self._shed = shed
        refusals = {reason: refusal(UnavailableError(reason)) for reason in (TOO_BUSY, WAITED_TOO_LONG)}
        self._written = {reason: (head_of(r.status, r.headers), r.body) for reason, r in refusals.items()}

    def reason(self, headers: Headers, arrived: float) -> str | None:
        """Say why to refuse a request that arrived then (perf_counter), if it is to be refused."""
        if perf_counter() - arrived > self._max_latency:
            reason = WAITED_TOO_LONG
        elif self.limit.is_reached():
            reason = TOO_BUSY
        else:
            return None
        is_a_browsers = any(name == b"origin" for name, _ in headers)  # which needs CORS headers
        if is_a_browsers or self._is_draining():
            return None
        self._shed(reason)
        return reason

    def answer(self, reason: str, headers: Headers) -> bytes:
        """Make the answer, with the request's id."""
        given = next((value for name, value in headers if name == b"x-request-id"), None)
        head, body = self._written[reason]
        return b"%bx-request-id: %b\r\n\r\n%b" % (head, request_id_of(given).encode(), body)
