"""Refusals of POST /classify for overload, at the end of a request's head, before anything more is spent on it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from credit_risk.contract.errors import TOO_BUSY, WAITED_TOO_LONG, UnavailableError
from credit_risk.serving.concurrency import ConcurrencyLimit
from credit_risk.serving.endpoints import request_id_of

Shed = Callable[[str], None]
Headers = list[tuple[bytes, bytes]]


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
        self._heads = {reason: _head_and_body(reason) for reason in (TOO_BUSY, WAITED_TOO_LONG)}

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
        head, body = self._heads[reason]
        return b"%bx-request-id: %b\r\n\r\n%b" % (head, request_id_of(given).encode(), body)


def _head_and_body(reason: str) -> tuple[bytes, bytes]:
    error = UnavailableError(reason)
    headers = {"content-type": "application/json", "content-length": str(len(error.body)), **error.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + lines.encode(), error.body
