"""Answers plain requests for one decision where their bytes come in: no ASGI, and no task that waits.

What ASGI and a task cost a request is more than deciding it does. So a connection hands a plain POST /classify to the
endpoints itself, and its batch writes the answer: the bytes that the fast path gives. What is not plain goes there: a
request with an Idempotency-Key, of a key with a limit, from a browser, a traced one, or one while the worker drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from random import random
from typing import ClassVar

from credit_risk.contract.errors import RequestError
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.laps import Laps
from credit_risk.serving.answers import Answer, Headers, decided, refusal, refusal_of
from credit_risk.serving.bento.exchange import Conversation
from credit_risk.serving.bento.head import CLOSE, head_of
from credit_risk.serving.endpoints import Endpoints
from credit_risk.serving.http.access import BODY_LIMITS
from credit_risk.serving.http.fast_path import PICKLE, is_sampled
from credit_risk.serving.keys import Keys, name_of
from credit_risk.serving.request_ids import request_id_of

PATH = "/classify"
MOST_DIGITS = len(str(BODY_LIMITS[PATH]))
NOT_PLAIN = frozenset((b"expect", b"idempotency-key", b"origin", b"prefer", b"transfer-encoding", b"upgrade"))
HEAD = b"%bcontent-type: application/json\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"


class DirectPath:
    """What the connections of a worker need for it."""

    def __init__(
        self,
        endpoints: Callable[[], Endpoints],
        keys: Callable[[], Keys],
        is_draining: Callable[[], bool],
        *,
        enabled: bool = True,
        server_timing: bool = False,
        traces: float = 0.0,
    ) -> None:
        """The first three are asked for each request; `keys` gives those in force. `traces` is a share of requests."""
        self.endpoints = endpoints
        self._keys = keys
        self.is_draining = is_draining
        self.server_timing = server_timing
        self._enabled = enabled
        self._traces = traces if enabled else 0.0
        self._headers: Headers = []
        self._head = b""

    def chooses_for_a_trace(self, url: bytes) -> bool:
        """Choose some requests to /classify for a trace. BentoML's middleware chooses among those of other routes."""
        return self._traces > 0 and url.partition(b"?")[0] == b"/classify" and random() < self._traces

    def exchange(
        self, connection: Conversation, headers: Headers, arrived: float, *, traced: bool
    ) -> DirectExchange | None:
        """Begin a POST /classify whose head arrived then (perf_counter), if it is plain.

        `traced` says whether it was chosen.
        """
        request_id = authorization = length = caller = None
        for name, value in headers:
            if name == b"content-length":
                length = value
            elif name == b"x-request-id":
                request_id = request_id or value
            elif name == b"authorization":
                authorization = value
            elif name == b"traceparent":
                traced = is_sampled(value)
            elif name in NOT_PLAIN or value == PICKLE:
                return None
        if traced or self.is_draining() or not self._enabled:
            return None
        if length is None or len(length) > MOST_DIGITS or int(length) > BODY_LIMITS[PATH]:
            return None
        if keys := self._keys():
            caller = name_of(keys, authorization)
            if caller is None or keys[caller].right != "decide" or keys[caller].requests_per_second is not None:
                return None
        return DirectExchange(connection, self, request_id, caller, arrived)

    def head(self, headers: Headers) -> bytes:
        """Write the start of a head of an answer, with uvicorn's headers, which change once a second."""
        if headers is not self._headers:
            self._headers, self._head = headers, head_of(HTTPStatus.OK, headers)
        return self._head


class DirectExchange:
    """A request and its answer. Its connection takes it for an `Exchange`."""

    __slots__ = (
        *("_arrived", "_caller", "_connection", "_laps", "_path", "_request_id"),
        *("body", "has_gone", "keep_alive", "more_body", "response_complete"),
    )
    scope: ClassVar = {"path": PATH}

    def __init__(
        self,
        connection: Conversation,
        path: DirectPath,
        request_id: bytes | None,
        caller: str | None,
        arrived: float,
    ) -> None:
        self._connection = connection
        self._path = path
        self._request_id = request_id_of(request_id)
        self._caller = caller
        self._arrived = arrived
        self._laps: Laps | None = None
        self.body = b""
        self.more_body = self.keep_alive = True
        self.has_gone = self.response_complete = False

    def ask(self, arrived: float) -> None:
        """Ask for the decision. The body has come, and its end arrived then (perf_counter)."""
        self.more_body = False
        self._arrived = arrived
        endpoints = self._path.endpoints()
        self._laps = laps = Laps(endpoints.metrics.spent, "single", arrived)
        laps.request_id = self._request_id
        laps.end("read")
        try:
            endpoints.ask(self.body, Origin(self._request_id, self._caller), laps, self)
        except Exception as error:  # told when the parser, which has called this, is done
            asyncio.get_running_loop().call_soon(self._answer, refusal_of(error, self._request_id))

    def settle(self, outcome: Decided | Exception, batch: Laps) -> None:
        """Answer. A decision is on record."""
        assert self._laps is not None
        self._laps.join(batch)
        try:
            if isinstance(outcome, Exception):
                raise outcome
            body = outcome.renderer.answer(outcome)
        except Exception as error:
            self._answer(refusal_of(error, self._request_id))
            return
        if self.keep_alive and not self._path.server_timing:
            head = self._path.head(self._connection.server_state.default_headers)
            self._connection.transport.write(HEAD % (head, self._request_id.encode(), len(body), body))
            self._end(HTTPStatus.OK)
        else:
            self._answer(decided(body, self._request_id))

    def give_up(self, error: RequestError) -> None:
        """Refuse a request whose body will not be read."""
        self.keep_alive = False
        self._answer(refusal(error, self._request_id))

    def abandon(self) -> None:
        """Stop working for a caller that has gone."""
        self.has_gone = True

    def _answer(self, answer: Answer) -> None:
        if self.has_gone or self.response_complete:
            return
        status, headers, body = answer
        headers = [*self._connection.server_state.default_headers, *headers]
        if self._path.server_timing and self._laps is not None:
            headers.append((b"server-timing", self._laps.server_timing()))
        if not self.keep_alive:
            headers.append(CLOSE)
        self._connection.transport.write(head_of(status, headers) + b"\r\n" + body)
        self._end(status)

    def _end(self, status: int) -> None:
        self.response_complete = True
        laps = self._laps
        if laps is not None:
            laps.end("write")
        connection = self._connection
        connection.answered(PATH, status, self._arrived, laps)
        if not self.keep_alive:
            connection.linger()
        connection.on_response_complete()
