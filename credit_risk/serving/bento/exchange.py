"""A request and its answer: uvicorn's cycle, which ends here when its caller goes, and writes the answer at once."""

from __future__ import annotations

import asyncio
from contextvars import Context
from http import HTTPMethod, HTTPStatus
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from credit_risk.contract.errors import FailedError, RequestError
from credit_risk.deciding.laps import Laps
from credit_risk.serving.answers import failed, refusal
from credit_risk.serving.bento.head import CLOSE, head_of
from credit_risk.serving.bento.tracing import CHOSEN, tell_stages, trace_id_of

CHUNKED = (b"transfer-encoding", b"chunked")
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Conversation(Protocol):
    """The connection that an exchange belongs to."""

    transport: Any
    server_state: Any

    def wants_body(self) -> None:
        """Go on with a body that is being read, and start its clock."""

    def has_body(self) -> None:
        """Go on reading, so that the caller's going is noticed."""

    def answered(self, path: str, status: int, arrived: float, laps: Laps | None) -> None:
        """Count an answer to a request that arrived then (perf_counter), and whose stages are on its stopwatch."""

    def linger(self) -> None:
        """Close without losing what was written."""

    def on_response_complete(self) -> None:
        """Go on with the next request."""


class Exchange(RequestResponseCycle):
    """What the ASGI application receives from and sends to."""

    def start(self, connection: Conversation, app: Any) -> asyncio.Task[None]:
        """Run the application."""
        self._connection = connection
        self._error: RequestError | None = None
        self._head = b""  # until the first part of the body is written with it
        # A context of its own, because a pipelined request begins in the task of the one before, and would inherit what
        # BentoML's tracing has put there, and keep it.
        self._task = asyncio.get_running_loop().create_task(self.run_asgi(app), context=Context())
        return self._task

    def abandon(self) -> None:
        """Stop working for a caller that has gone."""
        self.disconnected = True
        self._task.cancel()

    def give_up(self, error: RequestError) -> None:
        """Tell the application that the rest of the body will not be read."""
        self._error = error
        self.message_event.set()

    async def run_asgi(self, app: Any) -> None:
        if self.scope.get("chosen"):
            CHOSEN.set(True)
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.disconnected):
                raise RuntimeError("the application ended without an answer")
        except asyncio.CancelledError:
            if not self.disconnected:
                raise
        except Exception as error:  # nothing may go unanswered
            self._answer_failure(failed(error))
        finally:
            self.on_response = lambda: None  # as uvicorn does: it refers back to the connection

    async def receive(self) -> Any:
        """Receive the next part of the body. Raises RequestError if the rest is given up."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not (self.disconnected or self.response_complete):
            if self.more_body:
                self._connection.wants_body()
            await self.message_event.wait()
            self.message_event.clear()
        if self._error is not None:
            raise self._error
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        message = {"type": "http.request", "body": bytes(self.body), "more_body": self.more_body}
        self.body = bytearray()
        if not self.more_body:
            self._connection.has_body()
        return message

    async def send(self, message: Any) -> None:
        """Send a part of the answer. The head is sent with the first part of the body, so that both are one write."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
        else:
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))

    def _begin(self, status: int, given: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        self._status = status
        headers = [*self.default_headers, *given]
        names = [name for name, _ in headers]
        if self.more_body:  # the next request would be looked for in what is left of the body
            self.keep_alive = False
        if CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append(CLOSE)
        self.chunked_encoding = b"content-length" not in names and not self._is_bodiless()
        if self.chunked_encoding:
            headers.append(CHUNKED)
        self._head = head_of(status, headers)

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        pieces = []
        if self._head:
            pieces = [self._head, b"\r\n"]
            self._head = b""
        if self.chunked_encoding and not self._is_bodiless():
            if body:
                pieces += (b"%x\r\n" % len(body), body, b"\r\n")
            if is_last:
                pieces.append(b"0\r\n\r\n")
        elif not self._is_bodiless():
            pieces.append(body)
        self.transport.write(b"".join(pieces))
        if is_last:
            self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        laps: Laps | None = scope.get("laps")
        if laps is not None:
            laps.end("write")
            if "span" in scope:
                laps.trace_id = trace_id_of(scope["span"])
        self._connection.answered(scope["path"], self._status, scope["arrived"], laps)
        if laps is not None and laps.trace_id:
            tell_stages(scope["span"], laps)
        if not self.keep_alive:
            self._connection.linger()
        self.on_response()

    def _is_bodiless(self) -> bool:
        return self.scope["method"] == HTTPMethod.HEAD or self._status in WITHOUT_BODY

    def _answer_failure(self, error: FailedError) -> None:
        """Answer what no part of the application has answered."""
        if self.disconnected:
            return
        if self.response_started and not self._head:
            self._connection.linger()  # in the middle of an answer; the caller sees that it is cut short
            return
        status, headers, body = refusal(error)
        self._begin(status, [*headers, CLOSE])
        self._go_on(body, is_last=True)
